# Whoever logs in as the user of a module gets its commands, its banner and its prompt.
if [ -n "${LOGNAME:-}" ] && [ -d "/opt/metwork-$LOGNAME/bin" ] && [ -r /opt/metwork-mfext/share/profile ]; then
    . /opt/metwork-mfext/share/profile
fi
