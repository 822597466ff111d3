package sim

import (
	"crypto/sha256"
	"testing"
	"time"
)

// patience is how long something is waited for that must come, however slow or busy
// the machine is. Only what never comes takes so long.
const patience = 60*time.Second + (slowness-1)*6*time.Second

// inTime fails the test if what took longer than limit on a machine that has nothing
// else to do. What is promised is not to depend on who else computes here: too late
// is what is late beyond what the machine itself is.
func inTime(t testing.TB, what string, took, limit time.Duration) {
	t.Helper()
	if took <= slowness*limit {
		return
	}
	if s := strain(); took > time.Duration(s*float64(slowness*limit)) {
		t.Errorf("%s took %v, with a strain of %.1f", what, took, s)
	}
}

// strain returns how many times longer computing takes than it would if nobody else
// had the processor; at least 1. The shortest of many small pieces of work is one
// that nobody interrupted, so no idle machine is needed for comparison.
func strain() float64 {
	const pieces = 2000
	var total, least time.Duration
	sum := sha256.Sum256(nil)
	for i := range pieces {
		start := time.Now()
		for range 1000 {
			sum = sha256.Sum256(sum[:])
		}
		took := time.Since(start)
		if total += took; i == 0 || took < least {
			least = took
		}
	}
	return max(1, float64(total)/float64(pieces*least))
}
