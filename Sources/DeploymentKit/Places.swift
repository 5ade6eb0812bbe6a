/// The places that Google Cloud has, as data: a name that is not here is refused before a deployment fails on it.
///
/// A region that Google adds is one more word.
enum Places {
    /// Source: <https://docs.cloud.google.com/run/docs/locations>.
    static let regions: Set<String> = words(
        """
        africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2 \
        asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 europe-central2 \
        europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west10 europe-west12 europe-west2 europe-west3 \
        europe-west4 europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1 northamerica-northeast1 \
        northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1 us-central1 us-east1 us-east4 \
        us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
        """)

    /// Regions of Cloud Run where Cloud Scheduler is not.
    /// Source: <https://docs.cloud.google.com/scheduler/docs/locations>. create-all-jobs.sh asks the service itself.
    static let withoutScheduler: Set<String> = words("northamerica-south1 southamerica-west1")

    /// Source: <https://docs.cloud.google.com/bigquery/docs/locations>. BigQuery is in every region of Cloud Run.
    static let bigQueryLocations: Set<String> = regions.union(["US", "EU"])

    private static func words(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }
}

/// The rules for values that Google would refuse although their form is right.
struct PlaceRules {
    let file: JobsFile
    let log: ProblemLog

    func check() {
        for environment in file.environments {
            checkPlaces(of: environment)
            checkRecipients(of: environment)
        }
    }

    /// A value that is missing or has a wrong form is reported elsewhere.
    private func checkPlaces(of environment: EnvironmentDefinition) {
        if let region = environment.values.text("region"), !Places.regions.contains(region) {
            log.add(
                environment.values.lineOf("region"),
                "environments \(environment.name): Cloud Run has no region \(region)\(suggestion(for: region, in: Places.regions))"
            )
        } else if let region = environment.values.text("region"), Places.withoutScheduler.contains(region),
            file.jobs.contains(where: { $0.schedule != nil })
        {
            log.add(
                environment.values.lineOf("region"),
                "environments \(environment.name): Cloud Scheduler is not in \(region), although Cloud Run is; no trigger could be there"
            )
        }
        if let location = environment.values.text("bigquery_location"),
            !Places.bigQueryLocations.contains(where: { $0.lowercased() == location.lowercased() })
        {
            let near = suggestion(for: location, in: Places.bigQueryLocations)
            log.add(
                environment.values.lineOf("bigquery_location"),
                "environments \(environment.name): BigQuery has no location \(location)\(near)")
        }
    }

    /// An alert policy may not name a channel twice, and has at most 16.
    private func checkRecipients(of environment: EnvironmentDefinition) {
        let title = "environments \(environment.name)"
        let (addresses, channels) = (environment.values.list("alert_emails"), environment.alertChannels)
        checkTwice(addresses, "alert_emails", title) { $0.lowercased() }
        checkTwice(channels, "alert_channels", title) { $0 }
        for channel in channels {
            guard let project = channel.value.firstMatch(of: /^projects\/([^\/]+)\//)?.output.1,
                project != environment.project, !project.allSatisfy(\.isNumber)
            else { continue }
            log.add(
                channel.line,
                "\(title): \(channel.value) is a channel of \(project), and the alerts are in \(environment.project)")
        }
        let count = addresses.count + channels.count
        if count > 16 {
            let what = channels.isEmpty ? "alert_emails has" : "alert_emails and alert_channels have"
            let noun = channels.isEmpty ? "addresses" : "recipients"
            log.add(
                environment.values.lineOf("alert_emails"),
                "\(title): \(what) \(count) \(noun), and an alert notifies at most 16")
        }
    }

    private func checkTwice(
        _ items: [Located<String>], _ key: String, _ title: String, by form: (String) -> String
    ) {
        var seen: Set<String> = []
        for item in items where !seen.insert(form(item.value)).inserted {
            log.add(item.line, "\(title): \(key) names \(item.value) twice")
        }
    }
}
