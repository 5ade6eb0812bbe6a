extension JobsFileReader {
    func environment(_ name: String, _ section: Section) -> EnvironmentDefinition {
        if !EnvironmentDefinition.names.contains(name) {
            let names = EnvironmentDefinition.names.joined(separator: ", ")
            log.add(section.line, "\(section.name): the jobs know the environments \(names)")
        }
        let project = section.text("project", Pattern.project)
        let region = section.text("region", Pattern.region)
        let location = section.text("bigquery_location", Pattern.bigQueryLocation)
        let prefix = section.text("prefix", Pattern.prefix)
        let accountPrefix = section.text("account_prefix", Pattern.prefix)
        let images = section.text("images", Pattern.images)
        let tag = section.text("image_tag", Pattern.imageTag)
        let confirm = section.flag("confirm")
        let emails = section.list("alert_emails")
        for email in emails where !Pattern.email.fits(email.value) {
            log.add(email.line, "\(section.name): \(email.value) is not \(Pattern.email.meaning)")
        }
        let paused = section.list("paused")
        let variables = section.map("environment")
        // The environment's own name collides with nothing.
        let substitute = Located("\(name)-", line: section.line)
        return EnvironmentDefinition(
            name: name, line: section.line, project: project?.value ?? name, region: region?.value ?? name,
            bigQueryLocation: location?.value ?? "US", prefix: prefix ?? substitute,
            accountPrefix: accountPrefix ?? substitute, images: images?.value ?? name, imageTag: tag?.value ?? "0",
            asksFirst: confirm ?? true, alertEmails: emails.map(\.value), paused: paused, environment: variables)
    }
}
