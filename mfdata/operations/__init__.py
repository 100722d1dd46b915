"""What operators ask and do: status, traces, replays, injections, comparisons of rules."""
