package chat

import "time"

// Every bound that another person's data meets stands here, with its unit and
// its reason. "Guess" marks a number that no measurement stands behind.
const (
	// MaxText bounds the text of one message, in bytes: what fits, with its
	// envelope, a 16 KiB gossip payload.
	MaxText = 15 << 10
	// MaxName bounds a person's display name, in bytes (guess: the longest
	// names on record fit).
	MaxName = 96
	// MaxRoomName bounds the name of a room without its #, in bytes (guess).
	MaxRoomName = 48
	// MaxTopic bounds the topic of a private room, in bytes (guess: three lines
	// of a terminal).
	MaxTopic = 256
	// MaxRooms bounds the rooms a node is in (guess: a sync greeting carries 48
	// bytes a room and must fit one frame).
	MaxRooms = 512
	// MaxHeader bounds an entry's signed header, in bytes: the fields at their
	// largest take under 400.
	MaxHeader = 1 << 10
	// MaxPayload bounds an entry's payload on the live path, in bytes; larger
	// content travels by hash.
	MaxPayload = 16 << 10
	// MaxFrame bounds one frame on a stream, in bytes: small enough that a
	// stranger can't make us hold much, large enough for 256 short entries.
	MaxFrame = 64 << 10
	// MaxDeps bounds the entries of others that an entry names as seen.
	MaxDeps = 4
	// MaxDirect bounds the devices that an author gives an entry to one by one; to
	// more it goes by gossip, which spreads the work over all (guess: an author's
	// link takes 32 copies of what a person says unnoticed).
	MaxDirect = 32
	// MaxBatch bounds the entries in one frame of a catch-up session.
	MaxBatch = 256
	// MaxPending bounds the entries per room that wait for a predecessor; past
	// it the newest are forgotten and left to catch-up (guess: 1,024 entries of
	// 16 KiB are 16 MiB at the worst).
	MaxPending = 1024
	// MaxPendingBytes bounds the same by size, over all rooms, in bytes (guess).
	MaxPendingBytes = 8 << 20
	// MaxLogsPerDevice bounds the logs of one device in one room: a restored
	// backup starts a new log, nobody does so hundreds of times (guess).
	MaxLogsPerDevice = 64
	// MaxLogsPerPerson bounds the logs of one person in a sealed room: no member, or
	// who was one, is to take all of MaxLogsPerRoom (guess: 16 devices, restored 16
	// times each).
	MaxLogsPerPerson = 256
	// MaxLogsPerRoom bounds the logs of an open room (guess): identities are
	// free, so a stranger could otherwise invent logs without end.
	MaxLogsPerRoom = 4096
	// MaxMembers bounds the people in a private room, those invited included,
	// when one more is invited: a new key is wrapped for every device of theirs.
	// Rooms that grew on both sides of a split network may pass it.
	MaxMembers = 250
	// MaxMembershipOps bounds the membership operations of a private room: with
	// their ancestries they take 4 MiB at the most, and 250 people may come, go
	// and change roles several times (guess).
	MaxMembershipOps = 4096
	// MaxMembershipOpsPerPerson bounds those by one person who is not the room's
	// creator; it is also how many of MaxMembershipOps only the creator can use,
	// so that nobody can fill a room and keep its creator from repairing it.
	MaxMembershipOpsPerPerson = 512
	// MaxMembershipIdle bounds those of MaxMembershipOps that their authors had
	// no right to: they are kept as far as others may build on them (guess).
	MaxMembershipIdle = 1024
	// MaxMembershipWaiting bounds the membership operations of a room that wait
	// for one that they build on; one person may have a quarter of it (guess).
	MaxMembershipWaiting = 1024
	// MaxMembershipParents bounds the operations that one names as seen (guess:
	// more people at a time do not act unseen by each other).
	MaxMembershipParents = 16
	// MaxSealedRooms bounds the direct chats and private rooms that a node knows,
	// invitations and rooms that were left included (guess).
	MaxSealedRooms = 1024
	// MaxInvitations bounds the rooms that one person has invited this one to and
	// that were not accepted: those that were turned down or withdrawn make room
	// for new ones (guess: nobody invites to more in a day).
	MaxInvitations = 32
	// MaxOffers bounds the unknown rooms that people who may invite are asked about
	// at one time, and MaxOffersOf those of one of them.
	MaxOffers   = 16
	MaxOffersOf = 4
	// MaxOfferBytes bounds the membership operations of one of these rooms until
	// they show an invitation, in bytes: MaxMembershipOps of the usual length.
	MaxOfferBytes = 4 << 20
	// MaxKnownDevices bounds the devices that are remembered of one person: those
	// in use at one time, and as many as one list can revoke.
	MaxKnownDevices = 64
	// MaxStrangers bounds the people who were met, and share nothing with this
	// person, that are remembered, in memory (guess: who becomes a contact has been
	// met lately).
	MaxStrangers = 512
	// MaxRememberedDevices bounds the devices that are remembered on the disk and have
	// written nothing that is held here, since identities are free: past it a quarter
	// goes, strangers first, and of them those that were last seen longest ago (guess:
	// at 200 bytes each 3 MiB, and 16 times what one network holds).
	MaxRememberedDevices = 16384
	// MaxHistoryAnswers is from how many devices of others a newcomer takes the keys
	// of a room's past: one may withhold, or not have all, so the first is not
	// enough (guess).
	MaxHistoryAnswers = 16
	// MaxFuture is how far ahead of our clock an entry may be before it is shown
	// at its arrival time with a warning: clocks without NTP drift this much.
	MaxFuture = 2 * time.Minute
	// MaxFarFuture is how far ahead an entry may be before it is refused. A
	// wrong time zone is off by 14 h at the most.
	MaxFarFuture = 24 * time.Hour
	// HoldDeps is how long an entry waits for others that it names as seen.
	HoldDeps = 3 * time.Second
	// TypingExpiry is how long "is typing" stands without being renewed.
	TypingExpiry = 6 * time.Second
	// TypingRenew is how often a face renews it while keys are pressed.
	TypingRenew = 3 * time.Second

	// MaxClaims bounds what is known to be missing of one room, in logs and devices
	// that have named them: a line on a screen each. MaxClaimsOf bounds those that
	// one device has signed: who invents entries hides no other's (guesses).
	MaxClaims   = 512
	MaxClaimsOf = 32
	// MaxEarly bounds the messages of a room that are shown before those that they
	// follow in their logs: more than a person pages through while the rest comes
	// (guess).
	MaxEarly = 2048
	// MaxContent bounds what an entry says before it is sealed, in bytes: the
	// largest that fits, padded, an entry's payload. It holds MaxText and a few
	// mentions; who mentions many writes a little less.
	MaxContent = 31*512 - 1
	// MaxMentions bounds the people whom a message calls (guess: who calls more
	// means everybody).
	MaxMentions = 32
	// MaxRemoved bounds the messages that one entry removes: their ids take 2 KiB.
	MaxRemoved = 64
	// MaxSign bounds the sign of a reaction, in bytes: the longest emoji, a family
	// of four with skin tones, takes 41.
	MaxSign = 48
	// MaxSigns bounds the different signs shown under one message, those put there
	// first (guess: more do not fit a line).
	MaxSigns = 24
	// MaxReactions bounds the reactions that are kept of one message, the newest
	// (guess: MaxMembers people, four each).
	MaxReactions = 1024
	// MaxRevisions bounds what is kept of what a message said before, the newest
	// (guess: nobody reads more).
	MaxRevisions = 32
	// MaxKeep bounds for how long messages are kept or until they disappear, where
	// that is set at all: ten years of 365 days.
	MaxKeep = 10 * 365 * 24 * time.Hour
	// MaxSettings bounds the settings of one room that are remembered, to tell when
	// what was said there was to disappear: the newest (guess).
	MaxSettings = 256
	// MaxWanted bounds the entries whose payloads are asked for in one session and
	// room: with 16 KiB each they are 4 MiB at the most.
	MaxWanted = 256
	// MaxWantedTries is how many times a payload is asked for, of which at most one in
	// 30 s counts, before no session is begun for it any more: who has it would have
	// given it (guess). It is asked for in those that are begun for something else, and
	// of who comes later.
	MaxWantedTries = 32
	// MaxBranches bounds the ways in which one log goes on that are kept (guess: as many
	// copies of one home as somebody might run by mistake).
	MaxBranches = 4
	// MaxForks bounds the logs of one room whose being continued in two ways is
	// remembered with the evidence, MaxBranches pairs of headers each; of further ones
	// nobody is told (guess: nobody copies so many homes).
	MaxForks = 32
	// MaxReceipts bounds the statements about one sealed room, of all its devices and
	// kinds: five of each device that MaxMembers people usually have (guess), and a
	// list of them fits a frame.
	MaxReceipts = 2048
	// MaxReceiptMarks bounds the logs that one statement speaks of: in a larger room
	// it leaves out those that have been silent the longest (guess: four logs of
	// each of MaxMembers people).
	MaxReceiptMarks = 1024
	// MaxReceiptBytes bounds the marks of all statements that a node holds, in bytes:
	// a room of 250 devices that all speak takes 1 MiB (guess).
	MaxReceiptBytes = 32 << 20
	// MaxReceiptSteps bounds the steps by which a device came to hold or to read one
	// log of this person's that are remembered with their times; of older ones the
	// time is forgotten.
	MaxReceiptSteps = 256

	// MaxStatusText bounds a status text, in bytes (guess: a line beside a name).
	MaxStatusText = 140
	// MaxStatusFor bounds how far ahead a status may end.
	MaxStatusFor = 366 * 24 * time.Hour
	// MaxProfilePart bounds one part of a profile, in bytes: RFC 5321 has 254 for an
	// e-mail address.
	MaxProfilePart = 254
	// MaxGroups bounds the groups of one contact, MaxGroupName the name of one, in bytes
	// (guess: who sorts finer than this uses a directory).
	MaxGroups    = 16
	MaxGroupName = 64
	// MaxExceptions bounds a person's exceptions to their privacy (guess).
	MaxExceptions = 256
)
