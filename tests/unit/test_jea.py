from __future__ import annotations

import re

import pytest

from hvintegration.scripts import (
    DIRECT,
    GET_GUEST_SYSTEM,
    GET_HOST,
    GET_PROCESS,
    GET_VMS,
    GUEST_OPERATOR,
    OPERATOR,
    READER,
    SCRIPTS,
    SET_SERVICES,
    STOP_PROCESS,
)
from hvintegration.scripts.jea import CONFIGURATION, REGISTRATION, ROLES, Role, endpoint_files

every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def test_a_module_with_three_roles_and_what_registers_them() -> None:
    assert list(endpoint_files()) == [
        "HvIntegration/HvIntegration.psd1",
        "HvIntegration/RoleCapabilities/HvIntegrationReader.psrc",
        "HvIntegration/RoleCapabilities/HvIntegrationOperator.psrc",
        "HvIntegration/RoleCapabilities/HvIntegrationGuestOperator.psrc",
        "Register-HvIntegrationEndpoint.ps1",
    ]


def test_files_are_ascii_and_the_same_every_time() -> None:
    assert all(text.isascii() and text.endswith("\n") for text in endpoint_files().values())
    assert endpoint_files() == endpoint_files()


def test_readers_have_what_reads_and_operators_what_changes_too() -> None:
    reader, operator, guests = ROLES

    assert (reader.name, operator.name, guests.name) == (READER, OPERATOR, GUEST_OPERATOR)
    assert list(reader.scripts) == [GET_HOST, GET_VMS, GET_GUEST_SYSTEM]
    assert list(operator.scripts) == [GET_HOST, GET_VMS, GET_GUEST_SYSTEM, SET_SERVICES]
    assert list(guests.scripts) == [GET_HOST, GET_VMS, GET_GUEST_SYSTEM, *DIRECT.values()]
    for script in (*operator.scripts, *guests.scripts):
        assert script in {role.name: role for role in ROLES}[script.role].scripts


def test_nobody_at_a_restricted_endpoint_may_end_processes() -> None:
    for script in (GET_PROCESS, STOP_PROCESS):
        assert all(script.function not in text for text in endpoint_files().values())


@every_role
def test_functions_are_the_scripts_letter_for_letter(role: Role) -> None:
    defined = re.findall(r"^ {8}@\{\n {12}Name        = '(.+)'\n {12}ScriptBlock = \{$", role.text, re.MULTILINE)

    assert defined == [script.function for script in role.scripts]
    assert all(role.text.count(f"ScriptBlock = {{\n{script.text}\n            }}") == 1 for script in role.scripts)


@every_role
def test_a_function_is_visible_if_and_only_if_it_is_defined(role: Role) -> None:
    visible = re.findall(r"^    VisibleFunctions    = @\((.*)\)$", role.text, re.MULTILINE)

    assert visible == [", ".join(f"'{script.function}'" for script in role.scripts)]
    assert re.findall(r"^    (\w+) += ", role.text.partition("FunctionDefinitions")[0], re.MULTILINE) == [
        "GUID",
        "Description",
        "ModulesToImport",
        "VisibleFunctions",
    ]


def test_functions_have_names_of_their_own() -> None:
    functions = [script.function for script in SCRIPTS]

    assert len({function.lower() for function in functions}) == len(functions)
    assert all(re.fullmatch(r"[A-Z][a-z]+-HvIntegration[A-Z]\w+", function) for function in functions)


def test_every_file_has_an_id_of_its_own() -> None:
    text = "".join(endpoint_files().values())
    ids = re.findall(r"GUID +\s*= '([0-9a-f-]{36})'", text)

    assert len(set(ids)) == len(ids) == 1 + len(ROLES)


def test_the_names_in_the_files_agree() -> None:
    registration = endpoint_files()[REGISTRATION]

    assert f"-Name {CONFIGURATION} " in registration
    assert set(re.findall(r"Role = '(\w+)'", registration)) == {READER, OPERATOR, GUEST_OPERATOR}
