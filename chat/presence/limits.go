package presence

import (
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Bounds and times of the protocol (PROTOCOL.md#presence). "Guess" marks a number that
// no measurement stands behind.
const (
	// slotLength is for how long one beat stands.
	slotLength = 30 * time.Second
	// maxSkew is how far a clock may be off, in slots.
	maxSkew = int64(chat.MaxFuture / slotLength)
	// freshSlots is up to which age, in slots, a beat shows that a device is here,
	// aliveSlots up to which it may be.
	freshSlots, aliveSlots = 2, 4
	// chainSlots is how many beats a chain has behind its anchor: a day's. So many
	// hashes check one at the most.
	chainSlots = 2880
	// renewSlots is how long before its end a chain is replaced.
	renewSlots = 4

	// grace is how long a device whose connection broke may take to come back before
	// it is shown as gone. One that loses it flaps times in flapTime gets firstGrace,
	// which doubles up to maxGrace.
	grace      = 2 * time.Second
	firstGrace = 10 * time.Second
	maxGrace   = time.Minute
	flaps      = 3
	flapTime   = time.Minute
	// settling is how long a device that is connected may take to say that it appears
	// to be gone, before it is shown as here. Older versions say nothing.
	settling = time.Second
	// margin is by how much a slot must have begun after a connection was lost for its
	// beat to say otherwise.
	margin = 2 * time.Second

	// roundEvery is how often a neighbour is asked what it knows, give or take a
	// quarter; answerEvery how often one is answered.
	roundEvery  = 5 * time.Second
	answerEvery = 2 * time.Second
	// differFor is how long two neighbours may know different devices before they
	// count as not seeing the same ones: what has changed is on its way to both.
	differFor = 10 * time.Second
	// answerWithin is how long an answer is waited for, patience after how many
	// without one a neighbour rests for as long as restFor: it is of an older version.
	answerWithin = 30 * time.Second
	// askAgain is when a record is asked for again that has not come.
	askAgain = 10 * time.Second
	patience = 3
	restFor  = 5 * time.Minute
	// muteFor is how long nothing is taken from who has passed on what is not true.
	muteFor = time.Minute

	// maxChains bounds the chains that a node knows: as many devices as are remembered
	// of a network at all, which take 1.2 KB each, 20 MB together. maxForeign bounds those among them whose
	// people this person has nothing to do with, in percent.
	maxChains  = wire.MaxPresenceCells
	maxForeign = 75
	// maxDevices bounds the devices of which something is known.
	maxDevices = 2 * maxChains
	// maxKeys bounds the keys of others that are kept (guess: 16 devices of 256 people).
	maxKeys = 4096
	// maxNamesakes bounds the chains whose names begin alike: what one beat is tried on.
	maxNamesakes = 4
	// maxHolders bounds the people of whom is known that they have this device's key: one
	// more, and there is another key (guess: everybody whom somebody meets in a year).
	maxHolders = 4096
	// maxAsked bounds the records that one neighbour has been asked for and has not
	// brought; so many are given and taken at once, and recordRate in a second then: a
	// signature takes 60 us to check, so a flood of them a fiftieth of a processor.
	maxAsked   = 1024
	recordRate = 64
	// ownBurst is how many records of its own, and keys, a neighbour may bring at once, and
	// ownEvery how often another one then; this device keeps to half of that.
	ownBurst = 8
	ownEvery = 2 * time.Second
)
