"""The wire contract with merchants (the open.pay protocol). Pure: bytes and values in, bytes and values out."""
