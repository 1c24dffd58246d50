"""The statements of a run: the core's own and those of its workload."""

from bench.db.catalogue import Catalogue, read_package
from bench.db.ddl import Dialect
from bench.load.user import ShopUser

_PACKAGES = ("bench.db", "bench.audit")


def run_catalogue(user_class: type[ShopUser], dialect: Dialect) -> Catalogue:
    """Return the catalogue of everything that a run with these users sends to a database of the dialect."""
    folders = [(package, "sql") for package in _PACKAGES]
    folders += [folder for folder in user_class.statement_folders if folder not in folders]
    return Catalogue.load([read_package(package, folder) for package, folder in folders], dialect)
