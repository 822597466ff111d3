package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutputIsReadInLinesHoweverItWasWritten(t *testing.T) {
	const text = "one\ntwo\n\nlast, without an end"
	for step := 1; step <= len(text); step++ {
		var o Output
		for rest := text; rest != ""; {
			n := min(step, len(rest))
			_, _ = o.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		o.end()
		r := o.Reader()
		for _, want := range []string{"one", "two", "", "last, without an end"} {
			if line, err := r.Next(t.Context()); err != nil || line.Text != want {
				t.Fatalf("in steps of %d bytes: got %q, %v; want %q", step, line.Text, err, want)
			}
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line: %v", err)
		}
	}
}

func TestReadersWaitForLinesAndSeeWhenTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Output
		begin := time.Now()
		go func() {
			for i := range 3 {
				time.Sleep(time.Second)
				fmt.Fprintf(&o, "{\"n\":%d}\n", i)
			}
			fmt.Fprintln(&o, "no JSON")
			o.end()
		}()
		type numbered struct{ N int }
		isTwo := func(v numbered) bool { return v.N == 2 }
		for range 2 { // every reader begins at the beginning
			v, line, err := AwaitJSON(t.Context(), o.Reader(), isTwo)
			if err != nil || v.N != 2 || line.At.Sub(begin) != 3*time.Second {
				t.Errorf("got %+v at %v, %v", v, line.At.Sub(begin), err)
			}
		}
		synctest.Wait()
		if _, _, err := AwaitJSON(t.Context(), o.Reader(), func(v numbered) bool { return v.N == 7 }); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a line that is not JSON: %v", err)
		}
	})
}

func TestATailBeginsWithWhatComesNext(t *testing.T) {
	var o Output
	fmt.Fprint(&o, "old\nhalf of ")
	r := o.Tail()
	fmt.Fprintln(&o, "one")
	fmt.Fprintln(&o, "two")
	for _, want := range []string{"half of one", "two"} {
		if line, err := r.Next(t.Context()); err != nil || line.Text != want {
			t.Fatalf("got %q, %v; want %q", line.Text, err, want)
		}
	}
}

func TestReadersGiveUpWithTheirContext(t *testing.T) {
	var o Output
	because := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(because)
	if _, err := o.Reader().Next(ctx); !errors.Is(err, because) {
		t.Errorf("got %v", err)
	}
}
