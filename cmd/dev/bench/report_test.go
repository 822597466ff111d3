package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var hundred []float64
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, float64(i))
	}
	for _, c := range []struct {
		samples []float64
		q, want float64
	}{
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]float64{7}, 0.5, 7},
		{[]float64{1, 2}, 0.5, 1},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 10},
	} {
		if got := quantile(c.samples, c.q); got != c.want {
			t.Errorf("quantile(%v) of %v = %v, want %v", c.q, c.samples, got, c.want)
		}
	}
}

func TestAReportSaysWhichAimsWereMissed(t *testing.T) {
	r := Report{At: time.Unix(0, 0).UTC(), Rows: []Row{
		row("a", "first", "ms", []float64{1, 2, 300}).p50Below(100),
		row("b", "second", "ms", []float64{1, 2, 300}).maxBelow(100),
		single("c", "third", "MB", 0.1234).noted("of %d", 5),
		row("d", "fourth", "ms", nil).p50Below(100), // nothing measured is nothing met
	}}
	var table, data bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"p50 < 100: met", "max < 100: missed", "of 5", "p50 < 100: missed"} {
		if line := strings.Split(table.String(), "\n")[3+i]; !strings.Contains(line, want) {
			t.Errorf("line %q does not say %q", line, want)
		}
	}
	if err := r.WriteJSON(&data); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != 4 || back.Rows[1].Max != 300 || back.Rows[1].Aim.Met || !back.Rows[0].Aim.Met {
		t.Errorf("the JSON form is not the same: %s", data.String())
	}
}
