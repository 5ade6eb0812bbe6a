"""Checks a statement, or a script statement by statement, against a catalog."""
import re

from zetasql.wasi._pb2.zetasql.proto.options_pb2 import AnalyzerOptionsProto, LanguageOptionsProto
from zetasql.wasi._pb2.zetasql.proto.simple_catalog_pb2 import SimpleCatalogProto
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2 as kinds

from engine import ServerError, service

STATEMENTS = """QUERY INSERT UPDATE DELETE MERGE TRUNCATE CREATE_SCHEMA CREATE_TABLE CREATE_TABLE_AS_SELECT CREATE_VIEW
    CREATE_MATERIALIZED_VIEW CREATE_SNAPSHOT_TABLE CREATE_FUNCTION CREATE_TABLE_FUNCTION CREATE_PROCEDURE DROP
    DROP_FUNCTION DROP_TABLE_FUNCTION DROP_SNAPSHOT_TABLE DROP_MATERIALIZED_VIEW ALTER_SCHEMA ALTER_TABLE
    ALTER_TABLE_SET_OPTIONS ALTER_VIEW ALTER_MATERIALIZED_VIEW RENAME UNDROP EXPORT_DATA ASSERT CALL BEGIN COMMIT ROLLBACK
    ASSIGNMENT""".split()

# OPTIONS(...) of schemas, tables and columns.
OPTIONS = {
    "STRING": "description friendly_name location kms_key_name default_kms_key_name default_rounding_mode rounding_mode "
              "storage_billing_model default_collation uri format",
    "BOOL": "require_partition_filter enable_change_history is_case_insensitive overwrite header",
    "FLOAT64": "partition_expiration_days default_partition_expiration_days default_table_expiration_days",
    "TIMESTAMP": "expiration_timestamp", "INT64": "max_time_travel_hours", "INTERVAL": "max_staleness",
    "ARRAY<STRUCT<STRING, STRING>>": "labels tags",
}
SYSTEM_VARIABLES = {
    "INT64": "row_count script.bytes_processed script.slot_ms script.num_child_jobs",
    "STRING": "error.message error.statement_text error.formatted_stack_trace query_label time_zone project_id dataset_id "
              "dataset_project_id script.job_id last_job_id session_id",
    "TIMESTAMP": "script.creation_time", "BOOL": "error_is_set",
}


class Problem(Exception):
    """Why a statement would be refused."""


class Checker:
    def __init__(self, engine, catalog):
        self._engine, self._catalog, self._types = engine, catalog, {}
        self._language = engine.call("GetLanguageOptions", service.LanguageOptionsRequest(maximum_features=True),
                                     LanguageOptionsProto)
        self._language.product_mode = public.PRODUCT_EXTERNAL
        self._language.enabled_language_features.extend([public.FEATURE_ANNOTATION_FRAMEWORK, public.FEATURE_COLLATION_SUPPORT])
        self._language.reserved_keywords.append("QUALIFY")
        self._language.supported_statement_kinds.extend(
            kinds.ResolvedNodeKind.Value(f"RESOLVED_{name}_STMT") for name in STATEMENTS)
        self._settings = AnalyzerOptionsProto(language_options=self._language, default_timezone="UTC",
                                              error_message_mode=public.ERROR_MESSAGE_ONE_LINE)
        allowed = AnalyzerOptionsProto()
        for type_text, names in SYSTEM_VARIABLES.items():
            for name in names.split():
                allowed.system_variables.add(name_path=name.split("."), type=self.type(type_text))
        rules = allowed.allowed_hints_and_options
        rules.disallow_unknown_options = rules.disallow_duplicate_option_names = True
        for type_text, names in OPTIONS.items():
            for name in names.split():
                rules.option.add(name=name, type=self.type(type_text))
        self._settings.MergeFrom(allowed)

    def type(self, text):
        """The type that GoogleSQL text names."""
        if text not in self._types:
            try:
                self._types[text] = self._query_type(f"SELECT CAST(NULL AS {text})", {}, [])
            except ServerError as error:
                raise Problem(f"{text} is not a type: {error.message}") from None
        return self._types[text]

    def check(self, sql, parameters):
        """Raises Problem for the first thing in sql that BigQuery would refuse."""
        typed = {name: self.type(text) for name, text in parameters.items()}
        try:
            Script(self, sql, typed).check()
        except ServerError as error:
            raise Problem(error.message) from None

    def parse(self, sql):
        request = service.ParseRequest(sql_statement=sql, options=self._language, allow_script=True)
        return self._engine.call("Parse", request, service.ParseResponse).parsed_script

    def analyze(self, sql, parameters, constants, temporary=None, target=()):
        """The resolved statement; constants is a list of (name, type), temporary has the columns of temporary tables,
        target is the path of the table that the statement alters."""
        options = AnalyzerOptionsProto()
        options.CopyFrom(self._settings)
        for name, of_type in parameters.items():
            options.query_parameters.add(name=name.lower(), type=of_type)
        request = service.AnalyzeRequest(sql_statement=sql, options=options, simple_catalog=self._tables(sql, temporary or {}, target))
        request.simple_catalog.builtin_function_options.language_options.CopyFrom(self._language)
        for name, of_type in constants:
            request.simple_catalog.constant.add(name_path=[name], type=of_type).value.SetInParent()
        return self._engine.call("Analyze", request, service.AnalyzeResponse).resolved_statement

    def _query_type(self, sql, parameters, constants, temporary=None):
        statement = self.analyze(sql, parameters, constants, temporary)
        return statement.resolved_query_stmt_node.output_column_list[0].column.type

    def expression_type(self, text, script, variable=None):
        """The type of an expression; with a variable's type, of the expression as a value for it."""
        sql = f"SELECT ({text}\n)" if variable is None else f"SELECT IF(FALSE, value_of_variable, ({text}\n))"
        constants = list(script.variables.items()) + ([("value_of_variable", variable)] if variable is not None else [])
        return self._query_type(sql, script.parameters, constants, script.temporary)

    def table_names(self, sql):
        """The paths of the tables that one statement names; the target of an ALTER is not among them."""
        request = service.ExtractTableNamesFromStatementRequest(sql_statement=sql, options=self._language)
        names = self._engine.call("ExtractTableNamesFromStatement", request, service.ExtractTableNamesFromStatementResponse)
        return [tuple(name.table_name_segment) for name in names.table_name]

    def _tables(self, sql, temporary, target):
        """A catalog of exactly the tables that the statement names, where they exist."""
        root = SimpleCatalogProto(name="root")
        for path in sorted({*self.table_names(sql), tuple(target)} - {()}):
            columns = temporary.get(path[0]) if len(path) == 1 else None
            if columns is None:
                columns = self._catalog.columns(path)
                columns = columns and [(column, self.type(text)) for column, text in columns]
            if columns is None:
                continue
            place = root
            for segment in path[:-1]:
                place = next((c for c in place.catalog if c.name == segment), None) or place.catalog.add(name=segment)
            table = place.table.add(name=path[-1], full_name=".".join(path))
            for column, of_type in columns:
                table.column.add(name=column, type=of_type)
        return root


class Script:
    """One text: its statements in order, with the variables and temporary tables that they make."""

    def __init__(self, checker, sql, parameters):
        self._checker, self._text, self.parameters = checker, sql.encode(), parameters
        self.variables, self.temporary = {}, {}

    def check(self):
        self._statements(self._checker.parse(self._text.decode()).statement_list_node)

    def _statements(self, statements):
        for statement in statements.statement_list:
            self._statement(*concrete(statement))

    def _statement(self, kind, node):
        step = getattr(self, "_" + kind.removeprefix("ast_").removesuffix("_node"), None)
        (step or self._plain)(node)

    def _plain(self, node):
        """A statement that is not a construct of the scripting language; blanks before it keep its position."""
        start, end = extent(node)
        sql = re.sub(rb"[^\n]", b" ", self._text[:start]) + self._text[start:end]
        statement = self._checker.analyze(sql.decode(), self.parameters, list(self.variables.items()), self.temporary,
                                          altered(node))
        self._note_temporary(statement)

    def _note_temporary(self, statement):
        for kind in ("create_table_stmt", "create_table_as_select_stmt"):
            field = f"resolved_{kind}_node"
            node = find(statement, field)
            if node is not None and len(node.parent.parent.name_path) == 1:
                self.temporary[node.parent.parent.name_path[0]] = [
                    (column.name, column.type) for column in node.parent.column_definition_list]

    def _expression(self, node, variable=None):
        start, end = extent(concrete(node)[1])
        text = self._text[start:end].decode()
        try:
            found = self._checker.expression_type(text, self, variable)
        except ServerError as error:
            raise Problem(f"{error.message} in {text}") from None
        if variable is not None and found.SerializeToString(deterministic=True) != variable.SerializeToString(deterministic=True):
            raise Problem(f"{text} does not have the type of its variable")
        return found

    def _condition(self, node):
        self._expression(node, self._checker.type("BOOL"))

    def _variable(self, name):
        found = next((v for v in self.variables if v.lower() == name.id_string.lower()), None)
        if found is None:
            raise Problem(f"Undeclared variable: {name.id_string}")
        return self.variables[found]

    # The constructs of the scripting language, by the parser's names for them.
    def _variable_declaration(self, node):
        if node.HasField("type"):
            start, end = extent(concrete(node.type)[1])
            of_type = self._checker.type(self._text[start:end].decode())
            if node.HasField("default_value"):
                self._expression(node.default_value, of_type)
        else:
            of_type = self._expression(node.default_value)
        for name in node.variable_list.identifier_list:
            self.variables[name.id_string] = of_type

    def _single_assignment(self, node):
        self._expression(node.expression, self._variable(node.variable))

    def _assignment_from_struct(self, node):
        found = self._expression(node.struct_expression)
        fields = [field.field_type for field in found.struct_type.field]
        wanted = [self._variable(name) for name in node.variables.identifier_list]
        if len(fields) != len(wanted):
            raise Problem(f"{len(fields)} values for {len(wanted)} variables")

    def _if_statement(self, node):
        self._condition(node.condition)
        self._statements(node.then_list)
        for clause in node.elseif_clauses.elseif_clauses:
            self._condition(clause.condition)
            self._statements(clause.body)
        self._statements(node.else_list)

    def _begin_end_block(self, node):
        self._statements(node.statement_list_node)
        for handler in node.handler_list.exception_handler_list:
            self._statements(handler.statement_list)

    def _while_statement(self, node):
        if node.HasField("condition"):
            self._condition(node.condition)
        self._statements(node.parent.body)

    def _raise_statement(self, node):
        if node.HasField("message"):
            self._expression(node.message, self._checker.type("STRING"))

    def _return_statement(self, node):
        pass

    _break_statement = _continue_statement = _return_statement

    def _unknown(self, node):
        raise Problem("this statement of the scripting language is not one that can be checked here")

    _case_statement = _repeat_statement = _for_in_statement = _execute_immediate_statement = _unknown


def concrete(node, kind=None):
    """The parser wraps each node in messages with one field per kind: the innermost of them, and its kind."""
    while True:
        fields = node.DESCRIPTOR.oneofs
        inner = node.WhichOneof(fields[0].name) if fields and node.DESCRIPTOR.name.startswith("Any") else None
        if inner is None:
            return kind, node
        kind, node = inner, getattr(node, inner)


def altered(node):
    """The path of the table that an ALTER statement names, or nothing."""
    if not node.DESCRIPTOR.name.startswith("ASTAlter"):
        return []
    while "path" not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return [name.id_string for name in node.path.names]


def find(message, field):
    """The message in a field that is set somewhere in a chain of wrappers."""
    kind, node = concrete(message)
    return node if kind == field else None


def extent(node):
    """Where a node of the parse tree begins and ends, in bytes."""
    while "parse_location_range" not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return node.parse_location_range.start, node.parse_location_range.end
