package seal

import "time"

// Every bound stands here with its unit and its reason. "Guess" marks a number
// that no measurement stands behind.
const (
	// MaxDevices is how many devices the engine serves in a room. A new epoch of 250
	// takes 2 entries, 18 kB and under 1 ms when their pair roots are known, and 20
	// entries, 300 kB and up to 0.25 s when they are not (guess: nobody needs more than
	// four times that).
	MaxDevices = 1024
	// MaxPlaintext bounds what is sealed, in bytes: the largest bucket that fits
	// an entry's payload, less the mark of the padding.
	MaxPlaintext = 31*512 - 1
	// MaxMessages bounds the messages of one epoch, and so the steps that a
	// receiver can be made to go ahead and the keys it keeps for what it skipped.
	MaxMessages = 2000
	// EpochLife is how long an epoch is used: a stolen chain is worth no more.
	EpochLife = 7 * 24 * time.Hour
	// PairLife is how long a pair root is used for wrapping.
	PairLife = 7 * 24 * time.Hour
	// PrekeyLife is after what time a device makes its next prekey.
	PrekeyLife = 7 * 24 * time.Hour
	// PrekeyGrace is how long the private half of a replaced prekey is kept, for
	// shares that were made with it and have not arrived.
	PrekeyGrace = 30 * 24 * time.Hour
	// KeyLife is how long the keys of others' epochs and pair roots are kept
	// unused: PrekeyLife and PrekeyGrace.
	KeyLife = PrekeyLife + PrekeyGrace
	// AnswerLife is how long this device can answer for an epoch it has ended.
	AnswerLife = 30 * 24 * time.Hour
	// MaxFuturePrekey is how far ahead of our clock a prekey may be dated: as
	// far as an entry may be.
	MaxFuturePrekey = 24 * time.Hour
	// clockSlack is how far a clock may be set back before an epoch or a pair
	// root that now seems to be from the future is given up.
	clockSlack = 10 * time.Minute

	// maxOwnEpochs bounds the ended epochs of a room that are kept (guess: two
	// restarts a day).
	maxOwnEpochs = 64
	// maxEpochs bounds the epochs of one device in one room that are known: a
	// member who floods drives out its own (guess).
	maxEpochs = 16
	// maxKeptOf bounds the epochs of one device that are known in a room that
	// keeps its history, its own included: the one known for longest goes first
	// (guess: a restart on each working day for two years).
	maxKeptOf = 512
	// maxKept bounds the epochs of others in all such rooms together: at 300
	// bytes each, 10 MB. The longest known one of whoever has the most in a room
	// goes first, so that a member who floods drives out its own.
	maxKept = 32_768
	// maxGrants bounds the grants that wait for their author's share, over all
	// rooms, at 200 bytes each; maxGrantsOf, those that one device brought: who
	// invents epochs leaves room for others (guesses).
	maxGrants   = 4096
	maxGrantsOf = 1024
	// grantLife is how long they wait: shares come with the log they stand in.
	grantLife = 24 * time.Hour
	// maxPoints bounds the commitments remembered of an epoch, beside its first.
	maxPoints = 16
	// maxPairs bounds the pair roots held from one device: two a week for a
	// month, when every one comes from another prekey of ours.
	maxPairs = 8
	// maxSkipped bounds the keys of skipped messages over all chains: at 40
	// bytes each, 800 kB (guess).
	maxSkipped = 20_000
	// skipBlock is how many of them stand in one stored value: opening a late
	// message rewrites 2 KiB and not 64.
	skipBlock = 64

	// maxWaiting and maxWaitingBytes bound the messages that wait for a key,
	// over all rooms; maxWaitingOf, those of one author (guesses).
	maxWaiting      = 1024
	maxWaitingBytes = 4 << 20
	maxWaitingOf    = 256
	// maxWanted bounds the epochs asked for at one time, maxWantedOf those of
	// one author (guesses).
	maxWanted   = 256
	maxWantedOf = 4
	// maxAsks is how often one epoch is asked for, askAgain how long a try is
	// given: a request is an entry, so it is not lost, but its author may be away.
	maxAsks  = 3
	askAgain = 24 * time.Hour
	// wantLife is how long a message waits in memory after the last try.
	wantLife = 24 * time.Hour
	// maxAsksOf bounds the requests to one author, and maxAnswersOf the answers
	// to one device, in budgetTime: both are entries that stay (guess).
	maxAsksOf    = 16
	maxAnswersOf = 16
	budgetTime   = 24 * time.Hour
	// answerAgain is how soon one device can have one epoch answered again.
	answerAgain = time.Minute
	// pruneEvery is how late old keys may be forgotten.
	pruneEvery = time.Hour
)
