"""What the schema cannot tell schemathesis: an address of the chain, and an amount that the wallet could pay. Without them nothing would ever be queued, and
nothing held, released or cancelled."""

import os
import re

import schemathesis

ADDRESS = os.environ["BURSAR_PAYEE"]
AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?\Z", re.ASCII)


def payable(payout):
    """The same with a real payee, where it is of the form of a payout; what is wrong on purpose stays wrong."""
    well_formed = (
        isinstance(payout, dict)
        and {"id", "address", "amount"} <= payout.keys() <= {"id", "address", "amount", "priority"}
        and isinstance(payout["address"], str)
        and isinstance(payout["amount"], str)
        and AMOUNT.match(payout["amount"])
    )
    return {**payout, "address": ADDRESS, "amount": "0.001"} if well_formed else payout


@schemathesis.hook
def map_body(context, body):
    return [payable(payout) for payout in body] if isinstance(body, list) else payable(body)
