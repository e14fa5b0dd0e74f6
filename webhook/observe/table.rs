//! All that is counted.

/// Every metric: name, labels, and what it says. manifests/README.md has the same table, and a test compares them.
pub const TABLE: &[(&str, &str, &str)] = &[
    (
        "verdict_reviews_total",
        "kind, policy, operation, outcome",
        "Reviews answered, or failed to be answered, by each policy",
    ),
    (
        "verdict_review_seconds",
        "kind, policy, phase",
        "Time of one policy's review: queue, instantiate, guest (host calls included), whole",
    ),
    (
        "verdict_guest_output_bytes_total",
        "policy, fate",
        "Bytes that guests printed or logged: kept, or dropped over the cap or for want of a grant",
    ),
    ("verdict_policies_loaded", "kind", "Policies that are loaded, by kind"),
    (
        "verdict_policies_started",
        "from",
        "Policies that are loaded, by what a review begins with: a snapshot after init, or init itself",
    ),
    (
        "verdict_objects",
        "state",
        "Declared objects: loading, active, failed (never loaded), or stale (serving as they were before)",
    ),
    ("verdict_active_set_info", "digest", "1 for the digest of what serves: the same on replicas that serve the same"),
    ("verdict_reloads_total", "result", "Times that the sources were read again: applied, or refused as a whole"),
    ("verdict_requests_total", "route, code", "HTTP requests answered, by route and status code"),
    ("verdict_request_seconds", "route", "Time from a request's headers to its answer, reading the body included"),
    ("verdict_requests_in_flight", "route", "HTTP requests being answered"),
    ("verdict_requests_abandoned_total", "route", "HTTP requests whose caller hung up before the answer"),
    (
        "verdict_body_bytes_in_flight",
        "",
        "Bytes that requests hold: bodies as far as they came, and answers until they are sent",
    ),
    (
        "verdict_bodies_refused_total",
        "route, reason",
        "Bodies that were not read whole: large, slow, cut, or busy when others held all that there is",
    ),
    ("verdict_lane_reviews", "lane", "Reviews that came whole and are not yet answered, by lane"),
    (
        "verdict_lane_refused_total",
        "lane",
        "Reviews that were refused at once (503), since the lane had more work before them than they could wait for",
    ),
    ("verdict_connections_open", "", "Open connections"),
    ("verdict_connections_total", "", "Connections accepted since the start"),
    (
        "verdict_accept_errors_total",
        "",
        "Connections that could not be accepted, for want of file descriptors for example",
    ),
    (
        "verdict_tls_handshake_failures_total",
        "reason",
        "TLS handshakes that failed: certificate, name, protocol, timeout, io",
    ),
    (
        "verdict_connections_ended_early_total",
        "listener, reason",
        "Connections that the server ended: slow, or silent for longest when there was no room (handshakes before the handshake, room after it)",
    ),
    (
        "verdict_admin_refused_total",
        "reason",
        "Requests that the admin listener did not let in: off, host, missing, token, name",
    ),
    (
        "verdict_certificate_expiry_timestamp_seconds",
        "file",
        "When the first certificate of a file expires, in seconds since 1970: certificate (the server's chain), client_ca",
    ),
    (
        "verdict_decisions_dropped_total",
        "consumer, reason",
        "Decisions that are not in the decision log (log) or the traces: more came than fit (queue), or they could not be written or sent (failed)",
    ),
    (
        "verdict_log_lines_left_out_total",
        "policy, line",
        "Lines of the log that were not written since there were too many of their kind",
    ),
    ("verdict_leader", "", "1 on the replica that writes to the cluster for all: registration and status"),
    ("verdict_registration_held", "", "1 on the leader while somebody holds the registration (break-glass)"),
    (
        "verdict_provider_changes_total",
        "policy, result",
        "Changes of objects that a provider was told of: handled, retried (they come again), or dead (given up)",
    ),
    (
        "verdict_provider_gaps_total",
        "policy",
        "Times that the cluster did not know any more what had happened since a provider's objects were watched last: deletions may be lost",
    ),
    ("verdict_memory_ceiling_bytes", "", "What the process can take of memory at most, as computed at the start"),
    ("verdict_build_info", "version", "Always 1"),
    ("process_*", "", "Memory, CPU, threads and file descriptors of the process"),
];
