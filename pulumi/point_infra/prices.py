"""On-demand prices in ap-northeast-2 (Seoul), USD, without tax; looked up in November 2026.

`estimate` marks a price that no Seoul document was found for: it is derived as `source` says.
AWS's own price list needs credentials; nothing here asks it.
"""

from dataclasses import dataclass

DATED = "2026-11-24"
HOURS = 730
"""Hours of a month, as AWS's calculator counts them."""


@dataclass(frozen=True)
class Price:
    """USD per unit, where it is from, and whether it is an estimate."""

    usd: float
    source: str
    estimate: bool = False


_BUDGET = "derived from the budget's own figure for two nodes over 730 h"
_RATIO = "ratio to the r5 price as in us-east-1"
_CALCULATOR = "usual price in Asia Pacific regions"

NODE = {
    "m5.large": Price(0.118, "EC2 on-demand Linux, Seoul: six public documents agree"),
    "m6g.large": Price(0.094, "0.8 of m5.large, the ratio of Graviton 2 to m5", estimate=True),
    "m6i.large": Price(0.118, "same list price as m5.large", estimate=True),
    "m7g.large": Price(0.1003, "0.85 of m5.large, the ratio in us-east-1", estimate=True),
}
"""USD an hour of an EC2 node."""

DATABASE_INSTANCE = {
    "db.r5.large": Price(0.274, f"{_BUDGET} (400 USD)", estimate=True),
    "db.r5.xlarge": Price(0.548, "twice db.r5.large", estimate=True),
    "db.r6g.large": Price(0.313, "a public test fixture for Seoul", estimate=True),
    "db.r6g.xlarge": Price(0.626, "twice db.r6g.large", estimate=True),
}
"""USD an hour of an Aurora instance."""

CACHE_NODE = {
    "cache.r5.large": Price(0.171, f"{_BUDGET} (250 USD)", estimate=True),
    "cache.r5.xlarge": Price(0.342, "twice cache.r5.large", estimate=True),
    "cache.r6g.large": Price(0.163, f"{_RATIO}: 0.206 to 0.216", estimate=True),
    "cache.r7g.large": Price(0.173, f"{_RATIO}: 0.219 to 0.216", estimate=True),
}
"""USD an hour of an ElastiCache node."""

VALKEY = Price(0.8, "factor on the Redis OSS price: AWS's Valkey announcement")
CONTROL_PLANE_HOUR = Price(0.10, "EKS control plane under standard support, every region")
NAT_HOUR = Price(0.059, "an April 2026 bill from Seoul")
NAT_GB = Price(0.059, "an April 2026 bill from Seoul, rounded")
ALB_HOUR = Price(0.0225, "an April 2026 bill from Seoul")
ALB_LCU_HOUR = Price(0.008, _CALCULATOR, estimate=True)
PUBLIC_IPV4_HOUR = Price(0.005, "an April 2026 bill from Seoul; every region")
GP3_GB_MONTH = Price(0.0912, _CALCULATOR, estimate=True)
AURORA_STORAGE_GB_MONTH = Price(0.11, _CALCULATOR, estimate=True)
AURORA_IO_MILLION = Price(0.22, _CALCULATOR, estimate=True)
LOGS_GB = Price(0.76, _CALCULATOR, estimate=True)
ALARM_MONTH = Price(0.10, "CloudWatch standard alarm, every region")
TRANSFER_OUT_GB = Price(0.126, _CALCULATOR, estimate=True)
CROSS_ZONE_GB = Price(0.01, "data transfer between zones, each way, every region")
KMS_KEY_MONTH = Price(1.0, "KMS customer key, every region")
SECRET_MONTH = Price(0.40, "Secrets Manager secret, every region")
HOSTED_ZONE_MONTH = Price(0.50, "Route53 hosted zone")
HEALTH_CHECK_MONTH = Price(
    2.0, "Route53 check of an AWS endpoint, with HTTPS and string options", estimate=True
)
WAF_MONTH = Price(8.0, "WAF: one ACL (5) and three rules (1 each), every region")
