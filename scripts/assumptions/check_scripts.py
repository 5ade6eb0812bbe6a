"""Scripts, transactions and statements at the same time."""
from .facts import NotCheckable, check


def script_tables(trial, count):
    names = [f"{trial.project}.{trial.dataset}.s{trial.number()}" for _ in range(count)]
    return names, ";\n".join(f"CREATE TABLE IF NOT EXISTS `{name}` (id STRING NOT NULL, n INT64)" for name in names) + ";"


def exist(trial, names):
    answers = [trial.bigquery.call("GET", f"/datasets/{trial.dataset}/tables/{name.split('.')[-1]}") for name in names]
    return [answer.is_ok for answer in answers]


@check("BQ-11")
def script_of_ddl(trial):
    names, sql = script_tables(trial, 3)
    first, second = trial.bigquery.query(sql), trial.bigquery.query(sql)
    found = exist(trial, names)
    return first.is_ok and second.is_ok and all(found), f"sent twice ({first}, {second}); {sum(found)} of 3 tables exist"


@check("BQ-12")
def failed_script(trial):
    names, sql = script_tables(trial, 1)
    answer = trial.bigquery.query(f"{sql}\nSELECT 1 / 0;\nSELECT 2;")
    found = exist(trial, names)
    return not answer.is_ok and found == [True], f"{answer}; the table of the first statement {'exists' if found[0] else 'does not exist'}"


@check("BQ-13")
def failed_transaction(trial):
    _, table = trial.table()
    answer = trial.bigquery.query(f"BEGIN TRANSACTION;\nINSERT INTO {table} (id, n) VALUES ('a', 1);\nSELECT 1 / 0;\nCOMMIT TRANSACTION;")
    count = trial.bigquery.rows(f"SELECT COUNT(*) FROM {table}")[0][0]
    return not answer.is_ok and count == "0", f"{answer}; the table has {count} rows"


@check("BQ-14")
def inserts_at_once(trial):
    _, table = trial.table()
    answers = trial.at_once(6, lambda i: trial.bigquery.query(f"INSERT INTO {table} (id, n) VALUES ('a{i}', {i})"))
    refused = [str(a) for a in answers if not a.is_ok]
    count = trial.bigquery.rows(f"SELECT COUNT(DISTINCT id) FROM {table}")[0][0]
    return not refused and count == "6", f"of 6 INSERTs at once {6 - len(refused)} succeeded; {count} rows" + "".join(f"; {r}" for r in refused[:1])


@check("BQ-15")
def updates_at_once(trial):
    _, table = trial.table([{"name": "job", "type": "STRING"}, {"name": "holder", "type": "STRING"}])
    takers, lost = [], []
    for turn in range(2):
        trial.bigquery.done(f"INSERT INTO {table} (job, holder) VALUES ('j{turn}', NULL)")
        answers = trial.at_once(4, lambda i, turn=turn: trial.bigquery.query(
            f"UPDATE {table} SET holder = 'h{i}' WHERE job = 'j{turn}' AND holder IS NULL"))
        takers.append(sum(int(a.json.get("numDmlAffectedRows") or 0) for a in answers if a.is_ok))
        lost += [a for a in answers if not a.is_ok]
    trial.state["lost"] = lost
    others = [str(a) for a in lost if not is_lost(a)]
    return takers == [1, 1] and not others, (f"two rows, four UPDATEs each: changed by {takers[0]} and {takers[1]} of them; {len(lost)} were refused"
                                            + "".join(f"; {o}" for o in others[:1]))


def is_lost(answer):
    return answer.status == 400 and answer.reason == "invalidQuery" and answer.message.startswith("Could not serialize access to")


@check("BQ-16")
def lost_update(trial):
    if "lost" not in trial.state:
        updates_at_once(trial)
    lost = trial.state["lost"]
    if not lost:
        raise NotCheckable("of eight UPDATEs at once none lost: BigQuery ran each again until it could")
    return all(map(is_lost, lost)), f"{len(lost)} UPDATEs lost: {lost[0]}"


@check("BQ-17")
def ambiguous_merge(trial):
    _, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    answer = trial.bigquery.query(f"MERGE {table} t USING (SELECT 'a' AS id, 2 AS n UNION ALL SELECT 'a', 3) s ON t.id = s.id "
                                  "WHEN MATCHED THEN UPDATE SET n = s.n")
    return answer.status == 400 and "at most one source row" in answer.message, f"{answer}"


@check("BQ-29")
def streamed_rows(trial):
    path, table = trial.table()
    row = {"rows": [{"insertId": "1", "json": {"id": "a", "n": 1}}]}
    sent = trial.bigquery.call("POST", f"{path}/insertAll", row)
    if not sent.is_ok:
        raise NotCheckable(f"the row could not be streamed: {sent}")
    answer = trial.bigquery.query(f"UPDATE {table} SET n = 2 WHERE id = 'a'")
    if answer.is_ok and answer.json.get("numDmlAffectedRows") == "0":
        raise NotCheckable("the streamed row was not visible yet")
    return "rows in the streaming buffer" in answer.message, f"an UPDATE of a row that was streamed just now: {answer}"


@check("BQ-57")
def no_keys(trial):
    _, table = trial.table()
    for _ in range(2):
        trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('same', 1)")
    count = trial.bigquery.rows(f"SELECT COUNT(*) FROM {table}")[0][0]
    return count == "2", f"two rows with one id: {count} rows"
