// Command benchcompare measures what make bench-compare shows: which benchmarks of
// this checkout are slower than those of another commit.
//
// Both are built, and each benchmark runs in both, round by round and in turn, so
// that whatever else the PC does is done to both. A row is what one benchmark says of
// itself, such as its tags a second or its ratio to a plain socket; the medians of its
// rounds are compared. A package that was moved since is found by its last name.
//
//	main    flags, rounds
//	side    a checkout, its programs of benchmarks, one run of one
//	row     what a benchmark prints, which is better, the table
//	machine the line that says on what this was measured
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"

	"tsrun/sdk/quantity"
)

func main() {
	base := flag.String("base", "", "commit to compare with")
	rounds := flag.Int("rounds", 5, "how often each benchmark runs in each checkout")
	only := flag.String("only", ".", "regular expression of the benchmarks that run")
	line := flag.Bool("machine", false, "print the processor, its cores and the kernel, and end")
	flag.Parse()
	if *line {
		fmt.Println(machine())
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	names, err := regexp.Compile(*only)
	if err == nil && *base == "" {
		err = errors.New("say with which commit: make bench-compare BASE=commit")
	}
	if err == nil && *rounds < 1 {
		err = errors.New("at least one round is needed")
	}
	worse := 0
	if err == nil {
		worse, err = compare(ctx, os.Stdout, ".", *base, *rounds, names)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare benchmarks:", err)
		os.Exit(2)
	case worse > 0:
		os.Exit(1)
	}
}

// compare prints a table of the benchmarks of the checkout dir beside those of the
// commit base, and returns how many rows are worse.
func compare(ctx context.Context, out io.Writer, dir, base string, rounds int, only *regexp.Regexp) (worse int, err error) {
	fmt.Fprintln(out, machine())
	before, remove, err := checkOut(ctx, dir, base)
	if err != nil {
		return 0, err
	}
	defer remove()
	now, err := openSide(ctx, "now", dir, before.bin)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "%-58s %12s %12s %8s\n", "medians of "+fmt.Sprint(rounds)+" rounds in turn", "before", "now", "ratio")
	for _, p := range now.packages {
		if worse, err = comparePackage(ctx, out, now, before, p, rounds, only, worse); err != nil {
			return worse, err
		}
	}
	if worse > 0 {
		fmt.Fprintf(out, "%s worse by more than %.0f %%\n", quantity.Counted(worse, "row"), tolerance*100)
	}
	return worse, nil
}

// comparePackage compares the benchmarks of one package, and returns how many rows are
// worse together with those before.
func comparePackage(ctx context.Context, out io.Writer, now, before *side, p pkg, rounds int, only *regexp.Regexp, worse int) (int, error) {
	if !slices.ContainsFunc(p.names, only.MatchString) {
		return worse, nil // and its tests need not be compiled, which takes longest
	}
	old, ok := before.like(p)
	if !ok {
		fmt.Fprintf(out, "%s: not there before\n", p.path)
		return worse, nil
	}
	current, err := now.build(ctx, p)
	if err != nil {
		return worse, err
	}
	former, err := before.build(ctx, old)
	if err != nil {
		return worse, err
	}
	known, err := former.list(ctx)
	if err != nil {
		return worse, err
	}
	names, err := current.list(ctx)
	if err != nil {
		return worse, err
	}
	for _, name := range names {
		if !only.MatchString(name) {
			continue
		}
		if !slices.Contains(known, name) {
			fmt.Fprintf(out, "%s.%s: not there before\n", p.path, name)
			continue
		}
		rows := rowSet{}
		for round := range rounds {
			if err := runBoth(ctx, rows, former, current, name, round%2 == 1); err != nil {
				return worse, err
			}
		}
		worse += rows.print(out)
	}
	return worse, nil
}

// runBoth runs a benchmark in both checkouts. Which is first changes, as the second
// may find things warm.
func runBoth(ctx context.Context, rows rowSet, former, current *program, name string, swapped bool) error {
	order := []struct {
		p   *program
		now bool
	}{{former, false}, {current, true}}
	if swapped {
		order[0], order[1] = order[1], order[0]
	}
	for _, o := range order {
		text, cpu, err := o.p.run(ctx, name)
		if err != nil {
			return err
		}
		rows.add(o.now, text)
		rows.addOne(o.now, name, "CPU-s", cpu.Seconds())
	}
	return nil
}
