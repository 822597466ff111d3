package chattest

import (
	"slices"
	"testing"
	"time"
)

func TestALargeRoomReachesEverybodySoon(t *testing.T) {
	m := Spread(1, 150, 10)
	if m.Err != nil {
		t.Fatal(m.Err)
	}
	if len(m.Delivered) != m.Expected || m.Expected < 10*149 {
		t.Errorf("%d of %d deliveries", len(m.Delivered), m.Expected)
	}
	slices.Sort(m.Delivered)
	if p99 := m.Delivered[len(m.Delivered)*99/100]; p99 > 500*time.Millisecond {
		t.Errorf("99 of 100 within %v", p99)
	}
}

func TestASplitHealsWithinThreeSeconds(t *testing.T) {
	m := Heal(1, 40, 3, 100, 30*time.Second)
	if m.Err != nil {
		t.Fatal(m.Err)
	}
	if m.Missing < 40*30 {
		t.Errorf("after the split only %d entries were missing", m.Missing)
	}
	if m.Healed > 3*time.Second {
		t.Errorf("it healed after %v", m.Healed)
	}
}
