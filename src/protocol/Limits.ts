/**
 * Every fixed limit, with its unit in its name. What an operator may change is a setting (src/layers/settings/) instead.
 *
 * A limit is either part of the contract, or there so that memory stays bounded whatever the other side does.
 */

/** Longest frame in either direction (CONTRACTS.md). */
export const frameBytesMax = 10 * 1024 * 1024
/** Longest payload: a frame less what surrounds it. */
export const payloadBytesMax = frameBytesMax - 1024
/** Longest source position that a record may carry (CONTRACTS.md). */
export const positionBytesMax = 1024

/** Sequences of a producer whose offsets are remembered, so that a duplicate is answered with its first offset. */
export const rememberedSequencesMin = 128

/**
 * Producers whose last sequence and position outlive their records (CONTRACTS.md). The longest idle are forgotten down to
 * this number once there are as many as `producersPrunedAt`, so that forgetting costs little per append.
 */
export const producersMax = 10_000
export const producersPrunedAt = 11_000

/** Checkpoints that a broker keeps, and how long one is kept whose subscriber is not seen (CONTRACTS.md). */
export const checkpointsMax = 10_000
export const checkpointUnseenMsMax = 7 * 24 * 3_600_000
/** Between two notes, in the broker's journal, that a connected subscriber was seen. */
export const seenIntervalMs = 60_000

/** Between two looks of a broker at the age of its log, and at who has been away for too long. */
export const brokerTickMs = 1_000

/** Ranges of acknowledged messages ahead of a checkpoint; beyond, delivery waits (CONTRACTS.md). */
export const ackedRangesMax = 10_000

/** Messages of one subscription that were refused and are to come again: each costs a look at all of them. */
export const refusedMessagesMax = 1_000

/** Requests waiting in an actor's mailbox, and the bytes they stand for. */
export const mailboxRequestsMax = 1_024
export const mailboxBytesMax = 64 * 1024 * 1024

/** Publishes of one session that have no answer yet. */
export const sessionPendingBytesMax = 32 * 1024 * 1024
/** What one of them counts as at least, so that they are bounded in number too. */
export const publishPendingBytesMin = 4 * 1024

/** A log is dropped from in segments of this share of its retention. */
export const segmentsPerRetention = 16
/** Facts in a journal before a snapshot replaces them. */
export const journalFactsMax = 4_096
/** Facts that the trace of a streamer or collector keeps. */
export const traceFactsMax = 256

/** Messages and bytes that are read from the log for one delivery. */
export const deliveryMessagesMax = 512
export const deliveryBytesMax = 1024 * 1024
/** The least number of deliveries that a subscriber's credit in bytes is used up by. */
export const deliveriesPerCredit = 8

/** Samples in one write to a store: InfluxDB's documented optimum. */
export const writeSamplesMax = 5_000

/** Rejected inputs kept per reason, and the bytes of each (CONTRACTS.md, GET /rejects). */
export const rejectsKeptPerReason = 100
export const rejectBytesMax = 1024

/** Distinct series that a process interns before it forgets all of them and starts again. */
export const internedSeriesMax = 200_000

/** Batches, and their bytes, that a streamer has sealed and not acknowledged; below the broker's budget for a session. */
export const streamerWindowBatches = 64
export const streamerWindowBytes = 8 * 1024 * 1024
/** The bytes of one of many streamers of a process, which share that window evenly: never less than this each. */
export const streamerWindowBytesMin = 256 * 1024
/** Rows that a streamer asks its source for at a time; the size of a batch where that is more. */
export const streamerReadRowsMin = 500

/** Uncommitted messages, and their bytes, that a collector takes. */
export const collectorCreditMessages = 1_024
export const collectorCreditBytes = 16 * 1024 * 1024
/** Writes to the store that a collector has under way. */
export const collectorWritesMax = 2

/** Size up to which records share a frame that a client of a broker publishes. */
export const publishFrameBytes = 1024 * 1024
/** Looks at a connection to a broker within the time after which it is taken for dead; a ping is sent at each quiet one. */
export const silenceLooks = 3

/** The wait before the first and before every later attempt of what failed; it doubles in between. */
export const retryDelayMsMin = 100
export const retryDelayMsMax = 10_000

/** Windows between the first and the last of an aggregation over REST; what Prometheus allows of points. */
export const aggregateWindowsMax = 11_000
/** The shortest and the longest of such windows. */
export const aggregateWindowMsMin = 1
export const aggregateWindowMsMax = 365 * 24 * 3_600_000
