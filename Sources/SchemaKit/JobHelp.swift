extension Bootstrap {
    package static let createHelp = """
        Compares both datasets with the built-in catalog (21 and 3 tables) and creates what is missing, all at once. A table \
        that is there is left as it is; columns that it lacks are reported, and bootstrap-sync adds them.

        Safe to run again, and twice at the same time: a second run changes nothing.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 BootstrapJob --dry-run
          WAREHOUSE_URL=sqlite:demo.db BootstrapJob
        """

    package static let addColumnsHelp = """
        Compares both datasets with the built-in catalog and adds the columns that tables lack, all columns of a table in one \
        update. Nothing is ever dropped, recreated or reordered; a column whose type or mode differs is listed as a conflict \
        (exit code 1) and left alone. A column that the catalog calls REQUIRED is added as NULLABLE.

        Safe to run again: a second run changes nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-testing-1 BootstrapSyncJob --dry-run
        """
}

extension OrganizationSync {
    package static let help = """
        Reads the organizations with status ACTIVE from organizations.org_profiles, compares all of their datasets with the \
        built-in catalog (19 tables) in one query, and touches only those that differ: it creates missing datasets and tables \
        and adds missing columns. Nothing is ever dropped, recreated or reordered; what differs otherwise is listed as a \
        conflict and left alone.

        An organization that fails does not stop the others; the exit code is then 1 and the summary names it. Stopped or \
        killed anywhere, the next run does the rest; a run with nothing to do writes nothing. With several Cloud Run tasks \
        each takes its share of the organizations.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 ENVIRONMENT=test OrgSyncAllJob --dry-run
          GCP_PROJECT_ID=cloudact-prod ENVIRONMENT=prod OrgSyncAllJob --org acme --org globex
        """
}
