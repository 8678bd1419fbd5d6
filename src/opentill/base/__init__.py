"""What every layer may use: errors, money, time, numbers, settings, logs, metrics, outgoing calls, sealing."""
