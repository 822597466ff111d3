package courier

import (
	"time"

	"earshot/chat/wire"
)

// Bounds that a courier, who is nobody's servant, keeps to. "Guess" marks a number
// that no measurement stands behind.
const (
	// Lifetime is how long an envelope is to be held: who does not come within a week
	// meets its author first (guess). MaxLifetime bounds what others may ask for.
	Lifetime    = 7 * 24 * time.Hour
	MaxLifetime = 30 * 24 * time.Hour
	// DefaultSpace and KeeperSpace are what a node gives to others' envelopes, in
	// bytes, MinSpace and MaxSpace what a person may choose: below, nothing of use
	// fits; above, it is a server (guesses).
	DefaultSpace = 64 << 20
	KeeperSpace  = 1 << 30
	MinSpace     = 1 << 20
	MaxSpace     = 1 << 40
	// MaxHeld bounds the envelopes held: 200 bytes of memory each, and so many tags
	// are announced in four frames.
	MaxHeld = 16384
	// Quotas of one person, in envelopes, by their standing; own devices have none.
	ContactQuota, MemberQuota, StrangerQuota = 200, 50, 5
	// StrangerShare is the part of the space that all strangers may fill together, in
	// percent, and of MaxHeld likewise.
	StrangerShare = 20
	// overhead is what an envelope takes beside its bytes, in rows and indexes.
	overhead = 512

	// MaxParcels bounds one's own envelopes: what a day offline says to 1,000 people.
	MaxParcels = 4096
	// PersonParcels and RoomParcels bound those for one recipient, and one private
	// room: 3.8 and 0.9 MB of entries.
	PersonParcels, RoomParcels = 64, 16
	// Couriers is with how many an envelope is left where a keeper is among them,
	// CouriersAlone where none is.
	Couriers, CouriersAlone = 3, 5
	// packEvery is how often what one recipient lacks is put into an envelope.
	packEvery = 10 * time.Second
	// tailSize is up to which size an envelope is replaced by one with more entries,
	// in bytes, instead of another being begun.
	tailSize = 24 << 10
	// askAgain is when a courier that refused, or did not answer, is asked again.
	askAgain    = 10 * time.Minute
	giveTimeout = time.Minute
	giveAtOnce  = 8 // envelopes that wait for one courier's answer

	// MaxProofs bounds the proofs on their way to depositors, ProofsOf those to one
	// device.
	MaxProofs, ProofsOf = 2048, 200
	// MaxArrivals bounds what is remembered of envelopes that came.
	MaxArrivals = 4096
	// MaxPlainReply bounds a reply before it is sealed, in bytes.
	MaxPlainReply = wire.MaxReply - 64

	// maxTagsOf bounds the tags that are remembered of one neighbour, most of which
	// are noise: 160 KiB.
	maxTagsOf = 4096
	// maxFoundOf bounds the envelopes that one neighbour may say are for this person.
	maxFoundOf = 1024
	// takeAtOnce bounds the envelopes on their way from one neighbour: half a MiB.
	takeAtOnce = 8
	// takeTimeout is after how long a neighbour that brings nothing is not waited for
	// any more, retryTake when an envelope that was not whole is taken again.
	takeTimeout = 30 * time.Second
	retryTake   = 5 * time.Minute
	// announceAfter gathers what is announced between two meetings.
	announceAfter = 300 * time.Millisecond
	// weeksBack and weeksAhead are the weeks whose tags are looked for: as long as an
	// envelope may be held, and for clocks that are ahead.
	weeksBack, weeksAhead = 5, 1
)
