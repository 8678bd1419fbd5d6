"""Alipay: one gateway URL, RSA2 (channels A)."""
