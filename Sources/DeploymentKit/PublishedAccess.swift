/// The permissions and predefined roles that Google publishes, as data: a name that does not exist makes a whole policy fail.
///
/// Source: the lists of <https://docs.cloud.google.com/iam/docs/permissions-reference> and
/// <https://docs.cloud.google.com/iam/docs/roles-overview>, as <https://github.com/iann0036/iam-dataset> records them (gcp/roles
/// and gcp/predefined_roles.json), read on 1 December 2026. Only the services of this deployment are here. A name that Google adds
/// is one more word.
enum PublishedAccess {
    /// Whether there is no such permission. Nothing is known about services that are not listed.
    static func isUnknown(permission: String) -> Bool {
        services.contains(String(permission.prefix { $0 != "." })) && !permissions.contains(permission)
    }

    /// Whether there is no such predefined role. Nothing is known about services that are not listed.
    static func isUnknown(role: String) -> Bool {
        let service = role.dropFirst("roles/".count).prefix { $0 != "." }
        return roles.contains { $0.hasPrefix("roles/\(service).") } && !roles.contains(role)
    }

    static let permissions: Set<String> = names(in: permissionText) { "\($0).\($1)" }

    static let roles: Set<String> = names(in: roleText) { "roles/\($0).\($1)" }

    private static let services = Set(permissions.map { String($0.prefix { $0 != "." }) })

    /// A line has a word and what follows it.
    private static func names(in text: String, _ name: (Substring, Substring) -> String) -> Set<String> {
        Set(
            text.split(separator: "\n").flatMap { line -> [String] in
                let words = line.split(separator: " ")
                return words.dropFirst().map { name(words[0], $0) }
            })
    }

    private static let permissionText = """
        bigquery.bireservations get update
        bigquery.capacityCommitments create delete get list update
        bigquery.config get update
        bigquery.connections create delegate delete get getIamPolicy list setIamPolicy update updateTag use
        bigquery.dataPolicies attach create delete get getIamPolicy getRawData list maskedGet setIamPolicy update
        bigquery.datasets create createTagBinding delete deleteTagBinding get getIamPolicy link listEffectiveTags \
            listSharedDatasetUsage listTagBindings setIamPolicy update updateTag
        bigquery.jobs create createGlobalQuery delete get list listAll listExecutionMetadata update
        bigquery.models create delete export getData getMetadata list updateData updateMetadata updateTag
        bigquery.objectRefs read write
        bigquery.propertyGraphs create delete get list update
        bigquery.readsessions create getData update
        bigquery.reservationAssignments create delete list search
        bigquery.reservationGroups create delete get list
        bigquery.reservations create delete get getIamPolicy list listFailoverDatasets setIamPolicy update use
        bigquery.routines create delete get list update updateTag
        bigquery.rowAccessPolicies create delete get getFilteredData getIamPolicy list \
            overrideTimeTravelRestrictions setIamPolicy update
        bigquery.savedqueries create delete get list update
        bigquery.tables create createIndex createSnapshot createTagBinding delete deleteIndex deleteSnapshot \
            deleteTagBinding export get getData getIamPolicy list listEffectiveTags listTagBindings replicateData \
            restoreSnapshot setCategory setColumnDataPolicy setIamPolicy update updateData updateIndex updateTag
        bigquery.transfers get update
        run.configurations get list
        run.executions cancel delete get list
        run.instances create delete get getIamPolicy invoke list setIamPolicy sshRead sshRoot start stop update
        run.jobs create createTagBinding delete deleteTagBinding get getIamPolicy list listEffectiveTags \
            listTagBindings run runWithOverrides setIamPolicy sshRead sshRoot update
        run.locations list
        run.operations delete get list
        run.prompts get
        run.revisions delete get list
        run.routes get invoke list
        run.services create createTagBinding delete deleteTagBinding get getIamPolicy list listEffectiveTags \
            listTagBindings setIamPolicy sshRead sshRoot update
        run.tasks get list
        run.workerpools create delete get getIamPolicy list setIamPolicy sshRead sshRoot update
        cloudscheduler.jobs create delete enable fullView get list pause run update
        cloudscheduler.locations get list
        logging.buckets copyLogEntries create delete get list undelete update
        logging.cmekSettings get update
        logging.exclusions create delete get list update
        logging.fields access
        logging.locations get list
        logging.logEntries create download list
        logging.logMetrics create delete get list update
        logging.logServiceIndexes list
        logging.logServices list
        logging.logs delete list
        logging.notificationRules create delete get list update
        logging.operations cancel get list
        logging.privateLogEntries list
        logging.queries create delete get list listShared share update updateShared
        logging.sinks create delete get list update
        logging.usage get
        logging.views access create delete get list listLogs listResourceKeys listResourceValues update
        monitoring.alertPolicies create createTagBinding delete deleteTagBinding get list listEffectiveTags \
            listTagBindings update
        monitoring.dashboards create createTagBinding delete deleteTagBinding get list listEffectiveTags \
            listTagBindings update
        monitoring.groups create delete get list update
        monitoring.metricDescriptors create delete get list
        monitoring.metricsScopes link
        monitoring.monitoredResourceDescriptors get list
        monitoring.notificationChannelDescriptors get list
        monitoring.notificationChannels create delete get getVerificationCode list sendVerificationCode update \
            verify
        monitoring.services create delete get list update
        monitoring.slos create delete get list update
        monitoring.snoozes create get list update
        monitoring.timeSeries create list
        monitoring.uptimeCheckConfigs create delete get list update
        secretmanager.locations get list
        secretmanager.secrets create delete get getIamPolicy list setIamPolicy update
        secretmanager.versions access add destroy disable enable get list
        artifactregistry.aptartifacts create
        artifactregistry.attachments create delete get list
        artifactregistry.dockerimages get list
        artifactregistry.files delete download get list update upload
        artifactregistry.kfpartifacts create
        artifactregistry.locations get list
        artifactregistry.mavenartifacts get list
        artifactregistry.npmpackages get list
        artifactregistry.packages delete get list update
        artifactregistry.projectsettings get update
        artifactregistry.pythonpackages get list
        artifactregistry.repositories create createTagBinding delete deleteArtifacts deleteTagBinding \
            downloadArtifacts get getIamPolicy list listEffectiveTags listTagBindings readViaVirtualRepository \
            setIamPolicy update uploadArtifacts
        artifactregistry.rules create delete get list update
        artifactregistry.tags create delete get list update
        artifactregistry.versions delete get list update
        artifactregistry.yumartifacts create
        storage.anywhereCaches create disable get list pause resume update
        storage.bucketOperations cancel get list
        storage.buckets create createTagBinding delete deleteTagBinding enableObjectRetention get getIamPolicy \
            getIpFilter getObjectInsights list listEffectiveTags listTagBindings relocate restore setIamPolicy \
            setIpFilter update
        storage.folders create delete get list rename
        storage.managedFolders create delete get getIamPolicy list setIamPolicy
        storage.managementHubs get update
        storage.multipartUploads abort create list listParts
        storage.objects create delete get getIamPolicy list move overrideUnlockedRetention restore setIamPolicy \
            setRetention update
        """

    private static let roleText = """
        bigquery admin connectionAdmin connectionUser dataEditor dataOwner dataViewer filteredDataViewer jobUser \
            metadataViewer readSessionUser resourceAdmin resourceEditor resourceViewer user
        iam denyAdmin denyReviewer organizationRoleAdmin organizationRoleViewer roleAdmin roleViewer securityAdmin \
            securityReviewer serviceAccountAdmin serviceAccountCreator serviceAccountDeleter serviceAccountKeyAdmin \
            serviceAccountOpenIdTokenCreator serviceAccountTokenCreator serviceAccountUser serviceAccountViewer \
            workforcePoolAdmin workforcePoolEditor workforcePoolViewer workloadIdentityPoolAdmin \
            workloadIdentityPoolViewer workloadIdentityUser
        run admin developer invoker serviceAgent viewer
        secretmanager admin secretAccessor secretVersionAdder secretVersionManager viewer
        """
}
