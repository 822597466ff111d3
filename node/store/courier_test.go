package store

import (
	"bytes"
	"testing"
)

// putCourier stores changes and waits for that.
func (s *Store) putCourier(changes ...CourierChange) error {
	done := make(chan error, 1)
	s.PutCourier(changes, func(err error) { done <- err })
	return <-done
}

func TestEnvelopesAreKeptInTheOrderInWhichTheyCame(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	want := []CourierID{{9}, {3}, {7}}
	for _, id := range want {
		if err := s.putCourier(CourierChange{Kind: CourierHeld, ID: id, Meta: []byte{id[0]}, Bytes: bytes.Repeat(id[:1], 60<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	// Another kind of the same name, a change that leaves the bytes, and a removal.
	if err := s.putCourier(
		CourierChange{Kind: CourierParcel, ID: want[0], Meta: []byte("mine")},
		CourierChange{Kind: CourierHeld, ID: want[0], Meta: []byte("changed")},
		CourierChange{Kind: CourierHeld, ID: want[1]},
		CourierChange{Kind: CourierHeld, ID: CourierID{1}}, // was never there
	); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	rows, err := s.Courier(t.Context(), CourierHeld)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].ID != want[0] || string(rows[0].Meta) != "changed" || rows[1].ID != want[2] {
		t.Errorf("held are %v", rows)
	}
	for id, want := range map[CourierID][]byte{want[0]: bytes.Repeat([]byte{9}, 60<<10), want[1]: nil} {
		if got, err := s.CourierBytes(t.Context(), CourierHeld, id); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of %x: %v", len(got), id[:1], err)
		}
	}
	if rows, err = s.Courier(t.Context(), CourierParcel); err != nil || len(rows) != 1 || string(rows[0].Meta) != "mine" {
		t.Errorf("this person's are %v: %v", rows, err)
	}
	if b, err := s.CourierBytes(t.Context(), CourierParcel, want[0]); err != nil || b != nil {
		t.Errorf("%d bytes of what has none: %v", len(b), err)
	}
}
