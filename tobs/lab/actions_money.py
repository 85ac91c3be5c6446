"""Service actions about money: payments, gifts, prizes, boosts, paid messages, suggested posts."""

from __future__ import annotations

from typing import Any

from telethon.tl import types

from tobs.lab.moments import CHANNELS, GROUPS, PRIVATE, USER, Action, Fields, Moment

MANY = GROUPS | CHANNELS
TON = 10**9
"""Billionths in a coin."""


def _charge(moment: Moment) -> types.PaymentCharge:
    return types.PaymentCharge(f"charge-{moment.number()}", f"provider-{moment.id}")


def _paid(moment: Moment) -> Fields:
    action = types.MessageActionPaymentSent("EUR", 999, recurring_init=True, invoice_slug="mug")
    return {"action": action, "reply_to": moment.reply()}


def _paid_again(_moment: Moment) -> Fields:
    return {"action": types.MessageActionPaymentSent("JPY", 500, recurring_used=True)}


def _payment_received(moment: Moment) -> Fields:
    address = types.PostAddress("Unter den Linden 1", "", "Berlin", "", "DE", "10117")
    info = types.PaymentRequestedInfo(name="Ada", phone="493012", email="ada@example.org", shipping_address=address)
    action = types.MessageActionPaymentSentMe(
        "EUR", 999, b"\x00payload\xff", _charge(moment), info=info, shipping_option_id="post",
        subscription_until_date=moment.date + 86_400,
    )  # fmt: skip
    return {"action": action}


def _refunded(moment: Moment) -> Fields:
    peer = types.PeerUser(moment.somebody.id)
    return {"action": types.MessageActionPaymentRefunded(peer, "XTR", 50, _charge(moment), payload=b"p")}


def _premium(moment: Moment) -> Fields:
    action = types.MessageActionGiftPremium(
        "EUR", 1_199, 90, crypto_currency="TON", crypto_amount=3 * TON, message=moment.phrase()
    )
    return {"action": action}


def _stars(moment: Moment) -> Fields:
    return {"action": types.MessageActionGiftStars("USD", 199, 100, transaction_id=f"t{moment.id}")}


def _ton(_moment: Moment) -> Fields:
    return {"action": types.MessageActionGiftTon("USD", 1_500, "TON", 5 * TON // 2)}


def _gift(moment: Moment) -> Any:
    return types.StarGift(
        moment.number(), moment.document(), 100, 85, limited=True, availability_remains=3, availability_total=9
    )


def _unique(moment: Moment) -> Any:
    rare, owner = types.StarGiftAttributeRarityRare(), types.PeerUser(moment.somebody.id)
    attributes = [
        types.StarGiftAttributeModel("Fox", moment.document(), types.StarGiftAttributeRarity(12)),
        types.StarGiftAttributeBackdrop("Night", 1, 0x112233, 0x223344, 0x334455, 0xFFFFFF, rare),
        types.StarGiftAttributeOriginalDetails(owner, moment.date, message=moment.phrase()),
    ]
    return types.StarGiftUnique(
        moment.number(), moment.number(), "Plush Fox", "PlushFox-7", 7, attributes, 7, 100,
        owner_id=types.PeerUser(moment.cast.me.id),
        resell_amount=[types.StarsAmount(900, 0), types.StarsTonAmount(TON)],
    )  # fmt: skip


def _given(moment: Moment) -> Fields:
    action = types.MessageActionStarGift(
        _gift(moment), name_hidden=True, saved=True, can_upgrade=True, message=moment.phrase(), convert_stars=85,
        upgrade_stars=25, from_id=types.PeerUser(moment.somebody.id),
    )  # fmt: skip
    return {"action": action}


def _given_unique(moment: Moment) -> Fields:
    action = types.MessageActionStarGiftUnique(
        _unique(moment), upgrade=True, saved=True, can_export_at=moment.date + 86_400, transfer_stars=25,
        resale_amount=types.StarsAmount(900, 0),
    )  # fmt: skip
    return {"action": action}


def _offer(moment: Moment) -> Fields:
    action = types.MessageActionStarGiftPurchaseOffer(_unique(moment), types.StarsAmount(800, 0), moment.date + 86_400)
    return {"action": action}


def _offer_declined(moment: Moment) -> Fields:
    action = types.MessageActionStarGiftPurchaseOfferDeclined(_unique(moment), types.StarsTonAmount(TON), expired=True)
    return {"action": action, "reply_to": moment.reply()}


def _code(moment: Moment) -> Fields:
    action = types.MessageActionGiftCode(
        180, "AbCdEf123456", via_giveaway=True, unclaimed=True, boost_peer=types.PeerChannel(moment.cast.channel.id),
        currency="EUR", amount=1_999, message=moment.phrase(),
    )  # fmt: skip
    return {"action": action}


def _prize(moment: Moment) -> Fields:
    boosted = types.PeerChannel(moment.cast.channel.id)
    return {"action": types.MessageActionPrizeStars(500, f"prize-{moment.id}", boosted, 12, unclaimed=True)}


def _approval(moment: Moment) -> Fields:
    action = types.MessageActionSuggestedPostApproval(
        schedule_date=moment.date + 3_600, price=types.StarsAmount(100, 500_000_000)
    )
    return {"action": action, "reply_to": moment.reply()}


def _rejection(moment: Moment) -> Fields:
    action = types.MessageActionSuggestedPostApproval(rejected=True, reject_comment=moment.words())
    return {"action": action, "reply_to": moment.reply()}


def _plain(action: Any) -> Any:
    return lambda _moment: {"action": action}


MONEY = (
    Action("payment", PRIVATE, _paid),
    Action("payment, recurring", PRIVATE, _paid_again),
    Action("payment received", PRIVATE, _payment_received),
    Action("payment refunded", PRIVATE, _refunded),
    Action("Premium given", PRIVATE, _premium),
    Action("Stars given", PRIVATE, _stars),
    Action("TON given", PRIVATE, _ton),
    Action("gift", CHANNELS | PRIVATE, _given),
    Action("gift, unique", CHANNELS | PRIVATE, _given_unique),
    Action("gift, offer", PRIVATE, _offer),
    Action("gift, offer declined", PRIVATE, _offer_declined),
    Action("gift code", PRIVATE, _code),
    Action("Stars won", PRIVATE, _prize),
    Action("boost", GROUPS, _plain(types.MessageActionBoostApply(4))),
    Action("giveaway", MANY, _plain(types.MessageActionGiveawayLaunch())),
    Action("giveaway of Stars", MANY, _plain(types.MessageActionGiveawayLaunch(500))),
    Action("giveaway over", MANY, _plain(types.MessageActionGiveawayResults(3, 2))),
    Action("giveaway of Stars over", MANY, _plain(types.MessageActionGiveawayResults(1, 0, stars=True))),
    Action("messages refunded", frozenset({USER}), _plain(types.MessageActionPaidMessagesRefunded(3, 30))),
    Action("messages priced", MANY, _plain(types.MessageActionPaidMessagesPrice(10, broadcast_messages_allowed=True))),
    Action("post approved", MANY, _approval),
    Action("post rejected", MANY, _rejection),
    Action("post published", MANY, _plain(types.MessageActionSuggestedPostSuccess(types.StarsTonAmount(TON)))),
    Action("post refunded", MANY, _plain(types.MessageActionSuggestedPostRefund(payer_initiated=True))),
)
