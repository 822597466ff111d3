package chat

import "time"

// HLC is a hybrid logical clock's reading in microseconds since the Unix epoch:
// close to wall time, and later than everything its author had seen.
type HLC uint64

// MaxHLC bounds a reading, and a log's sequence number: 2^62 leaves every sum of
// two of them in range.
const MaxHLC HLC = 1 << 62

// HLCOf returns the reading of a wall clock.
func HLCOf(t time.Time) HLC { return HLC(max(0, t.UnixMicro())) }

// Time returns the wall time nearest to h.
func (h HLC) Time() time.Time { return time.UnixMicro(int64(min(h, MaxHLC))).UTC() }

// Next returns the reading for something that happens at now after seen.
func (h HLC) Next(now time.Time) HLC { return max(HLCOf(now), h+1) }
