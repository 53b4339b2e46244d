"""A browser without its screen."""

from starlette.testclient import TestClient

HOST = "page.example"
PASSWORD = "a long password"


class Browser(TestClient):
    """A browser on one of the server's pages: it sends JSON, and says where it comes from."""

    def __init__(self, app, host: str = HOST, scheme: str = "http", **options) -> None:
        super().__init__(app, base_url=f"{scheme}://{host}", follow_redirects=False, **options)
        self.headers["origin"] = f"{scheme}://{host}"

    def tell(self, path: str, **body):
        """POST some JSON."""
        return self.post(path, json=body)

    def sign_in(self, name: str, password: str = PASSWORD) -> "Browser":
        """The same, signed in."""
        answer = self.tell("/api/sign-in", name=name, password=password)
        assert answer.status_code == 200, answer.text
        return self

    def campaign(self, name: str) -> str:
        """The path of a campaign that this rater sees."""
        found = {one["name"]: one["id"] for one in self.get("/api/campaigns").json()}
        return f"/api/campaigns/{found[name]}"
