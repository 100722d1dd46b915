"""The command ``metwork`` and the dotted commands."""
