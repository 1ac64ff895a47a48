package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/doctor"
	"tsrun/pipeline/host"
	"tsrun/pipeline/master"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// maxLog is how much of a log doctor reads: its end.
const maxLog = 4 << 20

func newDoctorCommand() *cobra.Command {
	var flags recipeFlags
	var runs, keysDir string
	var logFiles []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor [RECIPE]",
		Short: "say what this PC lacks for a run, and what to do about it",
		Long: `doctor looks at what a run needs of this PC: privileges, how late a start is,
clocks and who steers them, time stamps, disk, plugins. With a recipe also at its
ports, at the way to its master where that is another PC, at the keys and the
pinned plugins, at the space it needs, and at each controller of this PC, which is
opened and asked what it is.

It starts no run and changes nothing, needs no privileges, and ends within 15 s.
Exit code 5: a run would be refused.

--log reads what ptp4l, phc2sys or chronyd have written, and explains known lines.`,
		Example: `  tsrun doctor recipes/coincidence.yaml
  journalctl -u ptp4l -u phc2sys -u chrony | tsrun doctor --log -`,
		Args: arguments(0, 1, "recipes"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := run.CheckSystem(); err != nil {
				return failure(err)
			}
			dirs, err := flags.plugins.all()
			if err != nil {
				return err
			}
			o := doctor.Options{Run: master.Options{Runs: runs, PluginDirs: dirs, Version: version}}
			if len(args) > 0 {
				o.Run.Recipe, err = flags.read(c, args[0], dirs)
				switch {
				case err != nil && asJSON:
					return refuseRecipe(err)
				case err != nil:
					return reportMistakes(c.OutOrStdout(), err, false)
				}
				if o.Run.Lock, err = host.ReadLock(filepath.Dir(args[0])); err != nil {
					return failure(err)
				}
				o.Run.Secure = secureMaster(keysDir)
			}
			if o.Logs, err = readLogs(c, logFiles); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			d := doctor.Examine(ctx, o)
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(d)
			} else {
				err = printDiagnosis(c.OutOrStdout(), d)
			}
			if err == nil && d.Refused {
				err = &exitError{exitPreflight, nil} // the findings have said why
			}
			return err
		},
	}
	flags.register(c)
	registerKeys(c.Flags(), &keysDir)
	c.Flags().StringVar(&runs, "runs", "runs", "where runs are kept, `DIR`")
	c.Flags().StringArrayVar(&logFiles, "log", nil, "explain known lines of this log, `FILE`; - is standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: version, refused, findings; of a wrong recipe, one for each mistake")
	return c
}

// readLogs reads the ends of logs.
func readLogs(c *cobra.Command, names []string) (logs []doctor.Log, err error) {
	for _, name := range names {
		l, err := readLog(c, name)
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

// readLog reads the end of a log; - is standard input.
func readLog(c *cobra.Command, name string) (doctor.Log, error) {
	in := c.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return doctor.Log{}, fmt.Errorf("read log: %w", err)
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > maxLog {
			if _, err := file.Seek(-maxLog, io.SeekEnd); err != nil {
				return doctor.Log{}, fmt.Errorf("read log: %w", err)
			}
		}
		in = file
	}
	lines, err := io.ReadAll(io.LimitReader(in, maxLog))
	if err != nil {
		return doctor.Log{}, fmt.Errorf("read log: %w", err)
	}
	return doctor.Log{Name: name, Lines: lines}, nil
}

// printDiagnosis writes a table: what was measured, and below what is not good what is
// wanted, why, and what to do.
func printDiagnosis(out io.Writer, d doctor.Diagnosis) error {
	var b strings.Builder
	about, refused, look := "", 0, 0
	for _, f := range d.Findings {
		if f.About != about {
			about = f.About
			fmt.Fprintf(&b, "%s\n", about)
		}
		mark := map[doctor.State]string{doctor.Good: "ok", doctor.Notable: "LOOK", doctor.Refused: "REFUSED"}[f.State]
		fmt.Fprintf(&b, "  %-8s %-24s %s\n", mark, text.Printable(f.What), text.Printable(f.Measured))
		if f.State == doctor.Refused {
			refused++
		}
		if f.State == doctor.Notable {
			look++
		}
		if f.State == doctor.Good && f.Do == "" {
			continue
		}
		for _, below := range [][2]string{{"wanted", f.Wanted}, {"why", f.Why}, {"do", f.Do}} {
			if below[1] != "" {
				fmt.Fprintf(&b, "  %-8s %-24s %s: %s\n", "", "", below[0], text.Printable(below[1]))
			}
		}
	}
	switch {
	case refused > 0:
		fmt.Fprintf(&b, "\na run would be refused: see REFUSED above\n")
	case look > 0:
		fmt.Fprintf(&b, "\na run can start; what has LOOK could be better\n")
	default:
		fmt.Fprintf(&b, "\nall is well\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
