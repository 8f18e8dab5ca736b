"""AWS's commercial regions that have three zones: what the program has to know of each beforehand.

Zones as of November 2026, by the table of moto 5.2 (its zones of EC2). An account sees
its own choice of letters: `point-infra doctor` asks. Offsets are those of standard time.
"""

from dataclasses import dataclass

NIGHT_HOUR = 3
"""When maintenance disturbs fewest: three at night where the region is."""


@dataclass(frozen=True)
class Region:
    """Letters of its zones, and hours from UTC to its standard time."""

    zones: str
    utc_offset: int
    log_writer: str = ""
    """Elastic Load Balancing's account (as in terraform-provider-aws): it writes access logs in regions from before
    August 2022. Others drop it since its service principal writes everywhere; AWS's own word for that was not found."""


REGIONS = {
    "af-south-1": Region("abc", 2, "098369216593"),
    "ap-east-1": Region("abc", 8, "754344448648"),
    "ap-east-2": Region("abc", 8),
    "ap-northeast-1": Region("acd", 9, "582318560864"),
    "ap-northeast-2": Region("abcd", 9, "600734575887"),
    "ap-northeast-3": Region("abc", 9, "383597477331"),
    "ap-south-1": Region("abc", 5, "718504428378"),
    "ap-south-2": Region("abc", 5),
    "ap-southeast-1": Region("abc", 8, "114774131450"),
    "ap-southeast-2": Region("abc", 10, "783225319266"),
    "ap-southeast-3": Region("abc", 7, "589379963580"),
    "ap-southeast-4": Region("abc", 10),
    "ap-southeast-5": Region("abc", 8),
    "ap-southeast-6": Region("abc", 12),
    "ap-southeast-7": Region("abc", 7),
    "ca-central-1": Region("abd", -5, "985666609251"),
    "ca-west-1": Region("abc", -7),
    "eu-central-1": Region("abc", 1, "054676820928"),
    "eu-central-2": Region("abc", 1),
    "eu-north-1": Region("abc", 1, "897822967062"),
    "eu-south-1": Region("abc", 1, "635631232127"),
    "eu-south-2": Region("abc", 1),
    "eu-west-1": Region("abc", 0, "156460612806"),
    "eu-west-2": Region("abc", 0, "652711504416"),
    "eu-west-3": Region("abc", 1, "009996457667"),
    "il-central-1": Region("abc", 2),
    "me-central-1": Region("abc", 4),
    "me-south-1": Region("abc", 3, "076674570225"),
    "mx-central-1": Region("abc", -6),
    "sa-east-1": Region("abc", -3, "507241528517"),
    "us-east-1": Region("abcdef", -5, "127311923021"),
    "us-east-2": Region("abc", -5, "033677994240"),
    "us-west-2": Region("abcd", -8, "797873946194"),
}


def zones(region: str) -> tuple[str, ...]:
    """Names of a region's zones, in the order of their letters."""
    return tuple(region + letter for letter in REGIONS[region].zones)


def hour(region: str, hours_on: int) -> int:
    """The hour in UTC that is `hours_on` after three at night there."""
    return (NIGHT_HOUR - REGIONS[region].utc_offset + hours_on) % 24


def window(region: str, hours_on: int) -> str:
    """An hour in UTC that begins `hours_on` after three at night there, such as 18:00-19:00."""
    start = hour(region, hours_on)
    return f"{start:02}:00-{(start + 1) % 24:02}:00"


def weekly_window(region: str, hours_on: int) -> str:
    """The same in the night to Monday, such as sun:18:00-sun:19:00."""
    start = NIGHT_HOUR - REGIONS[region].utc_offset + hours_on
    return "-".join(f"{'sun' if h < 0 else 'mon'}:{h % 24:02}:00" for h in (start, start + 1))
