"""What keeps a daemon from starting, and is for the operator to mend.

For: `run_daemon`, which ends the process with the sentence and exit code 2.

    HostError
    ├── BadSettingsError    a setting is wrong               (settings.py)
    ├── ListenError         a port is taken or not permitted (listeners.py)
    ├── CertificateError    a certificate cannot be used     (tls.py)
    ├── BadOriginError      port 80 cannot lead to our host  (plain_http.py)
    └── NodeFileError       a file of the node is damaged    (channel/node_files.py)
"""


class HostError(Exception):
    """The host is not as it must be; the text says what is wrong and what to do, in one sentence."""
