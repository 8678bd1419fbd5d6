"""The twin: both wallets, offline, over real HTTP.

It shares no code with the adapters, so mistakes cannot cancel out.
"""
