"""What every response says about itself, so that model text can run nothing and reach nobody."""

from starlette.datastructures import MutableHeaders

# Gradio's page has inline scripts and styles, and builds functions from strings; nothing else may be loaded,
# sent, framed or posted to but from here.
GRADIO_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
)
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# A loop's page is whole by itself: it loads and sends nothing, and runs its script as a stranger to this
# server, without its cookies, also where it is opened by itself. The board frames it.
LOOP_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
LOOPS = "/manage/loops/"
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # an invitation's address is its secret
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LASTING = ("/assets/", "/manage/assets/")  # their names hold a hash of their content
_CHECKED = ("/static/", "/manage/static/")  # asked for again by their tag
_OWN = ("/api/", "/sign-in", "/join/", "/static/")


def protect(headers: MutableHeaders, path: str) -> None:
    """Set a response's safety headers, whatever the handler has set."""
    own = path.startswith(_OWN)
    headers["Content-Security-Policy"] = OWN_POLICY if own else GRADIO_POLICY
    for name, value in _FIXED.items():
        headers[name] = value
    if path.startswith(LOOPS):
        headers["Content-Security-Policy"] = LOOP_POLICY
        headers["X-Frame-Options"] = "SAMEORIGIN"
    if path.startswith(_LASTING):
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        headers["Cache-Control"] = "no-cache" if path.startswith(_CHECKED) else "no-store"
