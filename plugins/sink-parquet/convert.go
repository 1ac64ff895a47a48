package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"tsrun/sdk/tagfile"
)

// convertMain writes the tags of a file of format tags, which is standard input, as a
// file of Parquet to standard output, for `tsrun convert`.
func convertMain(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sink-parquet convert", flag.ContinueOnError)
	flags.SetOutput(stderr)
	about := flags.String("about", "{}", "where the tags are from, a JSON `OBJECT`")
	one := flags.Bool("one", false, "there is one channel, whose number is not written")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "sink-parquet convert: tags come on standard input; tsrun convert IN OUT.parquet starts it")
		return 2
	}
	var of tagfile.Provenance
	err := json.Unmarshal([]byte(*about), &of)
	if err == nil {
		err = convert(tagfile.StandardInput, of, *one, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// numberedRow is what a file of several channels has of each tag. Rows are in order
// of channel and time.
type numberedRow struct {
	Channel int32  `parquet:"channel,delta"`
	Ps      uint64 `parquet:"ps,delta"`
}

func convert(path string, of tagfile.Provenance, one bool, to io.Writer) error {
	info, err := tagfile.Scan(path, tagfile.Tags)
	if err != nil {
		return err
	}
	said := metadata(of)
	if one && len(info.Channels) < 2 {
		return writeRows(to, said, []tagfile.ChannelInfo{{Channel: tagfile.OnlyChannel}}, path, func(_ int32, t uint64) row { return row{t} })
	}
	return writeRows(to, said, info.Channels, path, func(channel int32, t uint64) numberedRow { return numberedRow{channel, t} })
}

// metadata says where tags are from that no sink has been given.
func metadata(of tagfile.Provenance) (said []pair) {
	said = append(said, pair{"tsrun.unit", "ps"})
	for _, p := range []pair{{"tsrun.run", of.Run}, {"tsrun.recipe_sha256", of.Recipe}, {"tsrun.channel", of.Channel}, {"tsrun.device", of.Device}} {
		if p.value != "" {
			said = append(said, p)
		}
	}
	if of.Run != "" {
		said = append(said, pair{"tsrun.simulated", strconv.FormatBool(of.Simulated)})
	}
	if of.Simulated {
		said = append(said, simulated)
	}
	return said
}

// writeRows writes the tags of channels, one channel after the other.
func writeRows[R any](to io.Writer, said []pair, channels []tagfile.ChannelInfo, path string, rowOf func(channel int32, t uint64) R) error {
	w := parquet.NewGenericWriter[R](to, writerOptions(defaults(), said)...)
	tags, rows, held := make([]uint64, chunk), make([]R, 0, chunk), 0
	for _, c := range channels {
		r, _, err := tagfile.Open(path, tagfile.Tags, c.Channel)
		if err != nil {
			return err
		}
		for err == nil {
			var n int
			n, err = r.Next(tags)
			rows = rows[:0]
			for _, t := range tags[:n] {
				rows = append(rows, rowOf(int32(c.Channel), t))
			}
			if _, wrong := w.Write(rows); wrong != nil {
				return errors.Join(wrong, r.Close())
			}
			if held += n; held >= defaults().RowGroup {
				held = 0
				if wrong := w.Flush(); wrong != nil {
					return errors.Join(wrong, r.Close())
				}
			}
		}
		if err = errors.Join(r.Close(), notEnd(err)); err != nil {
			return err
		}
	}
	return w.Close()
}

// notEnd is an error that is more than the end of a file.
func notEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
