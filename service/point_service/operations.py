"""Every operation of the API, for its description."""

from collections.abc import Sequence

import msgspec

from point_service import errors, schemas
from point_service.errors import Problem


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one address."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[schemas.Answer]
    body: type[schemas.Request] | None = None
    parameters: Sequence[str] = ()
    problems: Sequence[type[Problem]] = ()


OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path="/v1/points/earn",
        name="earn",
        summary="Grant points to the member (role service or admin; an admin's grant is used first)",
        body=schemas.EarnRequest,
        answer=schemas.Earned,
        problems=(errors.RoleMissing, errors.HoldingCapExceeded),
    ),
    Operation(
        method="post",
        path="/v1/points/earn/{grant_id}/cancel",
        name="cancelEarn",
        summary="Take a whole grant back, while none of it is used and it has not expired (service or admin)",
        body=schemas.CancelEarnRequest,
        answer=schemas.EarnCancelled,
        parameters=("grant_id",),
        problems=(errors.RoleMissing, errors.GrantNotFound, errors.GrantNotCancellable),
    ),
    Operation(
        method="post",
        path="/v1/points/use",
        name="use",
        summary="Use the member's points for an order, once for each order",
        body=schemas.UseRequest,
        answer=schemas.Used,
        problems=(errors.InsufficientPoints, errors.OrderAlreadyUsed),
    ),
    Operation(
        method="post",
        path="/v1/points/use/cancel",
        name="cancelUse",
        summary="Give points of an order back, all or some, in the order they were taken (service or admin)",
        body=schemas.CancelUseRequest,
        answer=schemas.UseCancelled,
        problems=(errors.RoleMissing, errors.OrderNotFound, errors.CancelExceedsUse),
    ),
    Operation(
        method="get",
        path="/v1/points",
        name="balance",
        summary="What the member can spend now, and what of it expires soon",
        answer=schemas.Balance,
    ),
    Operation(
        method="get",
        path="/v1/points/grants",
        name="grants",
        summary="The member's grants, newest first",
        answer=schemas.Grants,
        parameters=("cursor", "limit", "live"),
        problems=(errors.InvalidField,),
    ),
    Operation(
        method="get",
        path="/v1/points/history",
        name="history",
        summary="The member's ledger entries, newest first",
        answer=schemas.History,
        parameters=("cursor", "limit"),
        problems=(errors.InvalidField,),
    ),
    Operation(
        method="get",
        path="/v1/points/orders/{order_id}",
        name="order",
        summary="Where an order's points came from, and what of them can still be given back",
        answer=schemas.OrderTrace,
        parameters=("order_id",),
        problems=(errors.OrderNotFound,),
    ),
    Operation(
        method="post",
        path="/v1/admin/members/{member_id}/earn",
        name="adminEarn",
        summary="Grant points to any member by hand; they are used first (admin)",
        body=schemas.EarnRequest,
        answer=schemas.Earned,
        parameters=("member_id",),
        problems=(errors.RoleMissing, errors.NotFound, errors.HoldingCapExceeded),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}",
        name="adminBalance",
        summary="What any member can spend now (admin)",
        answer=schemas.Balance,
        parameters=("member_id",),
        problems=(errors.RoleMissing, errors.NotFound),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/grants",
        name="adminGrants",
        summary="Any member's grants, newest first (admin)",
        answer=schemas.Grants,
        parameters=("member_id", "cursor", "limit", "live"),
        problems=(errors.RoleMissing, errors.NotFound, errors.InvalidField),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/history",
        name="adminHistory",
        summary="Any member's ledger entries, newest first (admin)",
        answer=schemas.History,
        parameters=("member_id", "cursor", "limit"),
        problems=(errors.RoleMissing, errors.NotFound, errors.InvalidField),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/orders/{order_id}",
        name="adminOrder",
        summary="Where the points of any member's order came from (admin)",
        answer=schemas.OrderTrace,
        parameters=("member_id", "order_id"),
        problems=(errors.RoleMissing, errors.NotFound, errors.OrderNotFound),
    ),
)
