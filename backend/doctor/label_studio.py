"""Label Studio as a whole: it answers, is of a release that was tried, takes the token, has the same time, and lets only
those sign up who were invited."""

from datetime import UTC, datetime

from backend.doctor.case import ANSWER_SECONDS, House
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.installation import TESTED, sign_up_is_open

CLOCK_SECONDS = 60  # by which it may differ: links that it signs are good for minutes


def reachable(house: House) -> Finding:
    """Something at LABEL_STUDIO_URL says that it is a Label Studio."""
    house.installation  # noqa: B018  raises what is wrong, with the next step
    return ok(f"answers at {house.settings.label_studio_url}")


def release(house: House) -> Finding:
    """A release that the tests of this plugin run on."""
    found = house.installation.release
    if found not in TESTED:
        return warning(
            f"{found}, on which this plugin was not tried",
            f"where something behaves oddly, install label-studio=={TESTED[-1]}, or look for a newer version of this plugin",
        )
    return ok(f"{found}, which this plugin is tested on")


def clock(house: House) -> Finding:
    """Its clock and ours."""
    if house.installation.moment is None:
        return ok("Label Studio does not say what time it has")
    off = abs((datetime.now(UTC) - house.installation.moment).total_seconds())
    if off > CLOCK_SECONDS:
        return warning(
            f"this machine and Label Studio's differ by {off:.0f} s, so that signed links to images end early",
            "let both follow NTP",
        )
    return ok("as Label Studio's, within a minute")


def sign_up(house: House) -> Finding:
    """Who may make an account."""
    is_open = sign_up_is_open(house.settings.label_studio_url, ANSWER_SECONDS)
    if is_open is None:
        return ok("Label Studio does not say who may sign up")
    if is_open:
        return warning(
            f"whoever reaches {house.settings.label_studio_url} can make an account and see every project",
            "start Label Studio with LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true, and invite people under Organization",
        )
    return ok("by invitation alone")


def token(house: House) -> Finding:
    """LABEL_STUDIO_API_KEY is taken, and its user belongs to an organization, without which no webhook is sent."""
    try:
        user = house.label_studio.request("GET", "/api/current-user/whoami", dict)
    except LabelStudioError as error:
        if error.status != 401:
            raise
        return wrong(str(error), "set LABEL_STUDIO_API_KEY to a personal access token, and start `al-backend up` anew")
    if user.get("active_organization", 0) is None:
        return wrong(
            f"its user {user.get('email', '')!r} has no active organization, so that what it changes sends no webhook",
            "let that user log in once in a browser, by an invitation, or take another user's token",
        )
    return ok(f"taken, of {user.get('email') or 'a user without a name'}")
