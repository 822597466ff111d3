package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"

	"earshot/cmd/dev/bench"
	"earshot/node/lab"
)

// underLab runs what needs a laboratory where one can be made.
func underLab(run func() int) int {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		return lab.Main(run)
	}
	return run()
}

// runBench measures, prints the table and writes the JSON.
func runBench(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	file := flags.String("json", "", "write the report as JSON to this `file`, too")
	only := flags.String("only", "", "make only the measurements that match this `regexp`, of "+strings.Join(bench.Names(), ", "))
	quick := flags.Bool("quick", false, "repeat less often and store less, to try out a change")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := bench.Options{Quick: *quick, Progress: os.Stderr}
	if *only != "" {
		if o.Only, err = regexp.Compile(*only); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, o)
	if len(report.Rows) == 0 {
		return errors.Join(err, errors.New("nothing was measured"))
	}
	err = errors.Join(err, report.WriteTable(os.Stdout))
	if *file == "" {
		return err
	}
	out, createErr := os.Create(*file)
	if createErr != nil {
		return errors.Join(err, fmt.Errorf("the report could not be written: %w", createErr))
	}
	return errors.Join(err, report.WriteJSON(out), out.Close())
}
