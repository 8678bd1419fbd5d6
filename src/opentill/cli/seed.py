"""The sandbox's parties: the published test integrator, a merchant, a cashier, an account at each twin wallet."""

from opentill.domain.parties import ALIPAY, WECHAT, AppRules
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR
from opentill.services.administration import Administration
from opentill.twin.app import Twin

MERCHANT = "测试商户"
STORE = "测试门店"
CASHIER = "测试收银员"


async def ensure_test_parties(administration: Administration, twin: Twin) -> None:
    """Seed an empty database; later starts only give the accounts the twin's keys if those changed."""
    wanted = {ALIPAY: _alipay_settings(twin), WECHAT: _wechat_settings(twin)}
    accounts = await administration.accounts_of_operator(TEST_OPERATOR)
    if accounts is not None:
        for channel, settings in wanted.items():
            account_id = accounts[channel]
            if await administration.account_settings(account_id) != settings:
                await administration.replace_account_settings(account_id, settings)
        return
    merchant_id, store_id = await administration.add_merchant(MERCHANT, store=STORE)
    account_ids = [
        await administration.add_account(
            f"{MERCHANT} {channel}", merchant_id=merchant_id, channel=channel, settings=settings
        )
        for channel, settings in wanted.items()
    ]
    await administration.add_app(
        "公开测试接入商", [merchant_id], rules=AppRules(), app=TEST_APP, key=TEST_KEY, exist_ok=True
    )
    # The cashier comes last: it is what a later start looks for.
    await administration.add_operator(
        CASHIER, merchant_id=merchant_id, store_id=store_id, account_ids=account_ids, operator_id=TEST_OPERATOR
    )


def _alipay_settings(twin: Twin) -> dict[str, str]:
    merchant = twin.alipay_merchant()
    return {
        "app_id": merchant.app_id,
        "seller_id": merchant.seller_id,
        "app_private_key": merchant.app_private_key_pem,
        "alipay_public_key": merchant.alipay_public_key_pem,
    }


def _wechat_settings(twin: Twin) -> dict[str, str]:
    merchant = twin.wechat_merchant()
    return {
        "appid": merchant.appid,
        "mchid": merchant.mchid,
        "merchant_serial": merchant.merchant_serial,
        "merchant_private_key": merchant.merchant_private_key_pem,
        "api_v3_key": merchant.api_v3_key,
        "app_secret": merchant.app_secret,
        "public_key_id": merchant.public_key_id,
        "public_key": merchant.public_key_pem,
    }
