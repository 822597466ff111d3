package chattest

import (
	"testing"
	"time"
)

func TestANetworkKnowsWhoIsHereAtLittleCost(t *testing.T) {
	m := Presence(1, 60, time.Minute)
	if m.Missed > 0 || m.Looked < 1000 {
		t.Errorf("%d of %d were not seen", m.Missed, m.Looked)
	}
	if age := at(m.Age, 99); age > 2 {
		t.Errorf("one sign of life in a hundred is %d slots old", age)
	}
	if m.Bytes > 200 {
		t.Errorf("each device sends %.0f bytes in a second", m.Bytes)
	}
	if len(m.Known) != 59 || len(m.Gone) != 59 {
		t.Errorf("%d of 59 know the other state, %d of 59 that a device crashed", len(m.Known), len(m.Gone))
	}
	again := Presence(1, 60, time.Minute)
	if m.String() != again.String() {
		t.Errorf("the same seed gives\n%s\n%s", m, again)
	}
}
