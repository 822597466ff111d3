package store

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"earshot/chat"
)

func (s *Store) putReceipts(t *testing.T, rows []Receipt, steps []ReceiptStep) {
	t.Helper()
	stored := make(chan error, 1)
	s.PutReceipts(rows, steps, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
}

func (s *Store) mustRead(t *testing.T, room chat.RoomID, upTo chat.EntryID) ReadMark {
	t.Helper()
	marks := make(chan ReadMark, 1)
	s.MarkRead(room, upTo, func(m ReadMark, err error) {
		if err != nil {
			t.Error(err)
		}
		marks <- m
	})
	return <-marks
}

func (s *Store) readElsewhere(t *testing.T, room chat.RoomID, marks ...LogMark) (ReadMark, bool) {
	t.Helper()
	type outcome struct {
		mark    ReadMark
		changed bool
	}
	came := make(chan outcome, 1)
	s.MarkReadElsewhere(room, marks, func(m ReadMark, changed bool, err error) {
		if err != nil {
			t.Error(err)
		}
		came <- outcome{m, changed}
	})
	o := <-came
	return o.mark, o.changed
}

func TestTheNewestStatementOfADeviceIsKept(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open)
	row := Receipt{Room: lobby, Device: ann.device, Person: ann.person, Kind: 1, Version: 7, Marks: []byte("marks"), Sig: []byte("a signature")}
	newer, other := row, row
	newer.Version, newer.Marks = 8, []byte("more")
	other.Kind, other.Marks = 3, []byte{}
	s.putReceipts(t, []Receipt{row, other}, nil)
	s.putReceipts(t, []Receipt{newer}, nil)
	check := func(s *Store) {
		t.Helper()
		got := must(s.Receipts(t.Context()))(t)
		if want := []Receipt{newer, other}; !reflect.DeepEqual(got, want) {
			t.Errorf("kept are %+v, not %+v", got, want)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openStore(t, dir))
}

func TestOfManyStepsTheOldestLoseTheirTimes(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open)
	at := func(seq uint64) time.Time { return noon.Time().Add(time.Duration(seq) * time.Second) }
	var steps []ReceiptStep
	const last = 4 * chat.MaxReceiptSteps
	for seq := uint64(2); seq <= last; seq += 2 {
		steps = append(steps, ReceiptStep{Room: lobby, Log: ann.log, Device: ann.device, Person: ann.person, Seq: seq, At: at(seq)})
	}
	s.putReceipts(t, nil, steps)
	s.putReceipts(t, nil, []ReceiptStep{{Room: lobby, Log: ann.log, Device: ann.device, Person: ann.person, Read: true, Seq: 10, At: at(99)}})
	learnt := func(seq uint64, read bool) time.Time {
		t.Helper()
		for _, st := range must(s.ReceiptSteps(t.Context(), lobby, ann.log, seq))(t) {
			if st.Read == read && st.Device == ann.device {
				return st.At
			}
		}
		return time.Time{}
	}
	if got := learnt(last-1, false); !got.Equal(at(last)) {
		t.Errorf("an entry is held since %v, not %v", got, at(last))
	}
	if got := learnt(3, false); !got.IsZero() {
		t.Errorf("of an entry of long ago it is known that it is held since %v", got)
	}
	if got := learnt(5, true); !got.Equal(at(99)) {
		t.Errorf("it was read at %v", got)
	}
	if got := learnt(11, true); !got.IsZero() {
		t.Errorf("what was not read was read at %v", got)
	}
}

func TestReadingSaysHowFarEachLogIsRead(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, annOpens := opened(lobby, "ann", noon)
	ben, benOpens := opened(lobby, "ben", noon+1)
	one, two, three := ann.say(noon+10, "one"), ben.say(noon+20, "two"), ann.say(noon+30, "three")
	mine := ben.say(noon+25, "mine")
	mine.Mine = true
	mustStore(t, s, annOpens, benOpens, one, two, mine, three)
	if got := s.mustRead(t, lobby, two.Entry.ID).Logs; len(got) != 2 || !slices.Contains(got, LogMark{ann.log, 2}) || !slices.Contains(got, LogMark{ben.log, 2}) {
		t.Errorf("read are %v", got)
	}
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ann.log, 3}}) {
		t.Errorf("read are %v", got)
	}
	if got := s.mustRead(t, lobby, one.Entry.ID).Logs; got != nil {
		t.Errorf("reading what was read reads %v", got)
	}
	// What comes late and is read then counts, too.
	late := ben.say(noon+27, "late")
	mustStore(t, s, late)
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ben.log, 4}}) {
		t.Errorf("read are %v", got)
	}
	got := must(s.ReadHere(t.Context()))(t)[lobby]
	if len(got) != 2 || !slices.Contains(got, LogMark{ann.log, 3}) || !slices.Contains(got, LogMark{ben.log, 4}) {
		t.Errorf("in all, read are %v", got)
	}
}

func TestWhatWasReadElsewhereCountsAsReadAndTheRestDoesNot(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, annOpens := opened(lobby, "ann", noon)
	ben, benOpens := opened(lobby, "ben", noon+1)
	one, two, three, four := ann.say(noon+10, "one"), ben.say(noon+20, "two"), ann.say(noon+30, "three"), ann.say(noon+40, "four")
	mustStore(t, s, annOpens, benOpens, one, two, three, four)
	// The other device had not got what Ben said.
	mark, changed := s.readElsewhere(t, lobby, LogMark{ann.log, 3})
	if !changed || mark.Unread != 2 || mark.ReadUpTo == nil || *mark.ReadUpTo != three.Entry.ID {
		t.Errorf("unread are %d, up to %v (%v)", mark.Unread, mark.ReadUpTo, changed)
	}
	page := must(s.Messages(t.Context(), lobby, MessageQuery{}))(t)
	if len(page) != 4 || !page[1].Late || page[0].Late || page[2].Late {
		t.Errorf("late are %v", page)
	}
	if _, changed := s.readElsewhere(t, lobby, LogMark{ann.log, 3}); changed {
		t.Error("the same again changes something")
	}
	if mark, _ := s.readElsewhere(t, lobby, LogMark{ann.log, 3}, LogMark{ben.log, 2}); mark.Unread != 1 {
		t.Errorf("unread are %d", mark.Unread)
	}
	// Of what is not here nothing is read, of a log that is not known neither.
	if mark, changed := s.readElsewhere(t, lobby, LogMark{ann.log, 900}, LogMark{chat.LogID{1}, 3}); !changed || mark.Unread != 0 || *mark.ReadUpTo != four.Entry.ID {
		t.Errorf("unread are %d, up to %v (%v)", mark.Unread, mark.ReadUpTo, changed)
	}
	mustStore(t, s, ann.say(noon+50, "five"))
	if r := must(s.Rooms(t.Context()))(t)[0]; r.Unread != 1 {
		t.Errorf("of what came then %d is unread", r.Unread)
	}
}

func TestMessagesAreFoundByTheirIDs(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one, two := ann.say(noon+10, "one"), ann.say(noon+20, "two")
	mustStore(t, s, open, one, two)
	stands := must(s.Stands(t.Context(), []chat.EntryID{one.Entry.ID, two.Entry.ID, open.Entry.ID, {1}}))(t)
	if want := map[chat.EntryID]Stand{
		one.Entry.ID: {Room: lobby, Log: ann.log, Seq: 2, Sent: noon + 10}, two.Entry.ID: {Room: lobby, Log: ann.log, Seq: 3, Sent: noon + 20},
	}; !reflect.DeepEqual(stands, want) {
		t.Errorf("they stand at %+v, not %+v", stands, want)
	}
	if m := must(s.MessageByID(t.Context(), two.Entry.ID))(t); m.Text != "two" || m.ID != two.Entry.ID {
		t.Errorf("found is %+v", m)
	}
	if _, err := s.MessageByID(t.Context(), chat.EntryID{1}); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("one that is not there: %v", err)
	}
	all := must(s.MessagesBetween(t.Context(), [8]byte{}, [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9))(t)
	if len(all) != 2 || !slices.Contains(all, one.Entry.ID) || !slices.Contains(all, two.Entry.ID) {
		t.Errorf("found are %v", all)
	}
	own := [8]byte(one.Entry.ID[:8])
	if got := must(s.MessagesBetween(t.Context(), own, own, 9))(t); !slices.Equal(got, []chat.EntryID{one.Entry.ID}) {
		t.Errorf("found are %v", got)
	}
}

func TestAnEntryWithoutItsPayloadIsNotHeld(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one, two, three := ann.say(noon+10, "one"), ann.say(noon+20, "two"), ann.say(noon+30, "three")
	whole := two.Entry
	two.Entry.Payload, two.Text, two.Unopened, two.Reason = nil, "", true, Stripped
	mustStore(t, s, open, one, two, three)
	held := func() (uint64, bool) {
		t.Helper()
		logs, lacking, err := s.HeldIn(t.Context(), lobby)
		if err != nil || len(logs) != 1 || logs[0].Log != ann.log || logs[0].Device != ann.device || logs[0].Person != ann.person {
			t.Fatalf("held are %+v (%v)", logs, err)
		}
		return logs[0].Seq, lacking
	}
	if seq, lacking := held(); seq != 2 || !lacking {
		t.Errorf("held are %d (%v)", seq, lacking)
	}
	done, get := wait[[]chat.Cursor]()
	s.Commit(Batch{Payloads: []Payload{{Room: lobby, Entry: whole}}}, done)
	get(t)
	if seq, lacking := held(); seq != 4 || lacking {
		t.Errorf("held are %d (%v)", seq, lacking)
	}
}

// Who passes on messages and leaves out what one says does not have it called read.
func TestAMessageWithoutItsTextMustNotBeCalledRead(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one, two, three := ann.say(noon+10, "one"), ann.say(noon+20, "two"), ann.say(noon+30, "three")
	mustStore(t, s, open, one, stripped(two), three)
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ann.log, 2}}) {
		t.Errorf("read are %v", got)
	}
	mustCommit(t, s, Batch{
		Payloads: []Payload{{Room: lobby, Entry: two.Entry}},
		Openings: []Opening{{ID: two.Entry.ID, Room: lobby, Text: two.Text}},
	})
	// Now that it is read, so is what had been read behind it.
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ann.log, 4}}) {
		t.Errorf("read are %v", got)
	}
}

// What was read before those came that it follows counts once they are read, too.
func TestWhatWasReadEarlyCountsInItsTurn(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one, two, three := ann.say(noon+10, "one"), ann.say(noon+20, "two"), ann.say(noon+30, "three")
	mustStore(t, s, open, one)
	mustPutEarly(t, s, three)
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ann.log, 2}}) {
		t.Errorf("read are %v", got)
	}
	mustStore(t, s, two, three)
	if got := s.mustRead(t, lobby, three.Entry.ID).Logs; !slices.Equal(got, []LogMark{{ann.log, 4}}) {
		t.Errorf("read are %v", got)
	}
}
