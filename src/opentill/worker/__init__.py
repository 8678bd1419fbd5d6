"""Work that time drives: telling merchants, asking wallets, closing what is overdue. Any number may run."""
