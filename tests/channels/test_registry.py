"""The folder is the list of wallets (design 1.7)."""

from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.base.outbound import Outbound
from opentill.channels.registry import channel_classes, load_channels


def test_every_wallet_has_a_number_a_name_and_an_address_of_its_own() -> None:
    classes = channel_classes()

    assert [each.number for each in classes] == [1, 2]
    assert [each.name for each in classes] == ["alipay", "wechat"]
    for each in classes:
        assert f"{each.name}_base_url" in Settings.model_fields


def test_every_account_field_is_named_once_and_explained_in_both_languages() -> None:
    for each in channel_classes():
        names = [field.name for field in each.account_fields]

        assert names
        assert len(set(names)) == len(names)
        for field in each.account_fields:
            assert field.name.isidentifier()
            assert all((field.label_zh, field.label_en, field.help_zh, field.help_en)), field.name
            assert field.label_en.isascii()
            assert field.help_en.isascii()


def test_keys_and_tokens_are_marked_secret_and_public_ones_are_not() -> None:
    secret = {field.name for each in channel_classes() for field in each.account_fields if field.is_secret}

    assert secret == {"app_private_key", "app_auth_token", "merchant_private_key", "api_v3_key", "app_secret"}


async def test_loading_gives_every_wallet_by_its_number() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]

    async with Outbound() as outbound:
        loaded = load_channels(settings, outbound, MovableClock())

    assert {number: channel.name for number, channel in loaded.items()} == {1: "alipay", 2: "wechat"}
