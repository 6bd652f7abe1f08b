"""What MLflow's clients see, the same from memory and from Postgres."""

from __future__ import annotations

from service.domain.model import ModelVersion
from service.usecases.model_ports import ModelDetails
from service.usecases.view_versions import DIGEST_TAG, NONE, Sight, View
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, environment, fill, new_version


def versions(store: Registry) -> list[ModelVersion]:
    fill(store, "a", "b", "c")
    with store.transaction() as tx:
        tx.environments.put(environment("qa", ("Production",)))
        tx.models.add_version(
            new_version(
                "wine",
                tags={"owner": "jane"},
                description="text",
                creation_time=5,
                last_updated_time=7,
                user="joe",
                run_link="https://link",
            )
        )
        tx.models.set_details("iris", ModelDetails("", {}, {"champion": 2, "production": 3}))
        assign(tx, assignment(1, minutes=1))
        assign(tx, assignment(1, "Staging", minutes=2))
        assign(tx, assignment(2, environment="qa", minutes=3))
        return [tx.models.version("iris", number) for number in (1, 2, 3)]


def test_what_the_port_reads(store: Registry) -> None:
    one, two, _ = versions(store)
    with store.transaction() as tx:
        held = {(item.stage, item.version, item.digest) for item in tx.views.held("prod", ["iris", "wine"])}
        assert held == {("Production", 1, one.digest), ("Staging", 1, one.digest)}
        assert [item.version for item in tx.views.held("qa", ["iris"])] == [two.version]
        assert list(tx.views.held("qa", [])) == []
        assert tx.views.aliases(["iris", "wine", "none"]) == {"iris": {"champion": 2, "production": 3}, "wine": {}}
        assert tx.views.highest(["iris", "wine", "none"], []) == {"iris": 3, "wine": 1}
        assert tx.views.highest(["iris", "wine"], [("iris", 3), ("wine", 1)]) == {"iris": 2}
        found = tx.views.versions({("iris", 1), ("wine", 1), ("wine", 2), ("none", 1)})
    assert set(found) == {("iris", 1), ("wine", 1)}
    wine = found["wine", 1]
    assert (wine.created, wine.updated, wine.description, wine.user) == (5, 7, "text", "joe")
    assert (wine.status, wine.status_message, wine.run_id, wine.run_link) == ("READY", None, "run-1", "https://link")
    assert (wine.tags, wine.source) == ({"owner": "jane"}, f"mlflow-artifacts:/registered/{wine.digest[7:]}")
    assert (found["iris", 1].digest, found["iris", 1].description, found["iris", 1].tags) == (one.digest, None, {})


def test_each_environment_shows_its_own(store: Registry) -> None:
    one, *_ = versions(store)
    with store.transaction() as tx:
        prod, qa = (tx.environments.get(name) for name in ("prod", "qa"))
        sight = Sight(tx.views, View(prod, everything=True), ["iris", "wine"])
        told = [(seen.known.version, seen.stage) for seen in sight.latest(["iris"])["iris"]]
        assert told == [(1, "Staging"), (1, "Production"), (3, NONE)]
        assert [seen.stage for seen in sight.latest(["iris"], ["production"])["iris"]] == ["Production"]
        seen = sight.one("iris", 1)
        assert (seen.stage, seen.aliases, seen.tags[DIGEST_TAG]) == ("Staging", (), one.digest)
        assert (
            sight.by_alias("iris", "champion").known.version,
            sight.by_alias("iris", "PRODUCTION").known.version,
        ) == (
            2,
            1,
        )
        assert sight.by_alias("iris", "latest").known.version == 3
        assert sight.aliases("iris") == {"champion": 2}, "MLflow's own `production` leads to a stage here"
        narrow = Sight(tx.views, View(qa, everything=False), ["iris", "wine"])
        assert [seen.known.version for seen in narrow.latest(["iris", "wine"])["iris"]] == [2]
        assert [seen.known.version for seen in narrow.many([("iris", 1), ("iris", 2), ("wine", 1)])] == [2]
        assert narrow.aliases("iris") == {"champion": 2}
        nowhere = Sight(tx.views, View(None, everything=True), ["iris"])
        assert [(seen.known.version, seen.stage) for seen in nowhere.latest(["iris"])["iris"]] == [(3, NONE)]
        assert nowhere.one("iris", 1).aliases == ()
        assert nowhere.by_alias("iris", "production").known.version == 3
