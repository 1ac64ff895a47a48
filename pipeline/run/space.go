package run

import (
	"fmt"
	"path/filepath"
	"time"
	"unicode/utf8"

	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// LeastTagBytes is what a tag takes in a file at the very least.
const LeastTagBytes = 1

// usualTagBytes is what it takes in most.
const usualTagBytes = 8

// Room is what a place has for a run.
type Room struct {
	Path  string
	Free  quantity.Size
	Below quantity.Size // of that is to stay free
	Tags  int64         // that will come at least, as far as the recipe says
}

// CheckSpace refuses a place with less than below bytes left, and one in which
// the tags that are expected cannot fit before the recording would be ended for it.
func CheckSpace(path string, below quantity.Size, tags int64) (Room, error) {
	free, err := FreeSpace(path)
	if err != nil {
		return Room{}, err
	}
	room := Room{path, free, below, tags}
	switch {
	case free < below:
		return room, &sdk.Failure{
			Code:    "disk-full",
			Message: fmt.Sprintf("%s has %d MiB left, the recipe wants %d MiB", path, free>>20, below>>20),
			Hint:    "free some space, choose another place with --runs (a slave: --data), or lower faults.disk_below",
			Field:   "faults.disk_below",
		}
	case int64(free-below)/LeastTagBytes < tags:
		return room, &sdk.Failure{
			Code: "disk-full",
			Message: fmt.Sprintf("%s has %d MiB left, of which faults.disk_below keeps %d MiB, and %d tags will come at the lowest rates that expect calls good: they cannot fit",
				path, free>>20, below>>20, tags),
			Hint:  "free some space, choose another place with --runs (a slave: --data), or measure for a shorter time",
			Field: "expect",
		}
	}
	return room, nil
}

// CheckPath refuses a directory whose path plugins and messages cannot carry.
func CheckPath(path string) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return &sdk.Failure{Code: "no-directory", Message: fmt.Sprintf("%s: %v", path, err), Hint: nowhere}
	}
	if utf8.ValidString(whole) {
		return nil
	}
	return &sdk.Failure{
		Code:    "not-text",
		Message: fmt.Sprintf("the path %q is not UTF-8 text, and plugins could not be told where to write", whole),
		Hint:    "rename the directory, or choose another place with --runs (a slave: --data)",
	}
}

// CheckFiles refuses a place where fewer files can be made than there will be.
func CheckFiles(path string, files int64) error {
	free, known := FreeFiles(path)
	if !known || free >= files {
		return nil
	}
	return &sdk.Failure{
		Code:    "disk-full",
		Message: fmt.Sprintf("the disk of %s has room for %d more files (inodes), and the recipe makes %d", path, free, files),
		Hint:    "remove files there, choose another place with --runs (a slave: --data), or write a longer acquire.segment",
		Field:   "acquire.segment",
	}
}

// Warning says that the tags which are expected will fill the place in most
// formats; "" where they will not.
func (r Room) Warning() string {
	if int64(r.Free-r.Below)/usualTagBytes >= r.Tags {
		return ""
	}
	return fmt.Sprintf("%s has %d MiB left, of which faults.disk_below keeps %d MiB; at %d bytes a tag, the %d tags of the lowest rates that expect calls good will not fit",
		r.Path, r.Free>>20, r.Below>>20, usualTagBytes, r.Tags)
}

// Filling follows how fast a disk fills. Its zero value has seen nothing.
type Filling struct{ seen []sight }

type sight struct {
	at   time.Time
	free int64
}

const (
	// fillingOver is the time over which a pace is taken: files that are given all
	// their room at once do not look like a flood.
	fillingOver = 10 * time.Second
	fillingFrom = time.Second // before that there is no pace
)

// Note takes in what is free now, and returns it with the pace at which it became
// less.
func (f *Filling) Note(free quantity.Size, now time.Time) fact.Disk {
	for len(f.seen) > 1 && now.Sub(f.seen[1].at) >= fillingOver {
		f.seen = f.seen[1:]
	}
	f.seen = append(f.seen, sight{now, int64(free)})
	d := fact.Disk{Free: int64(free)}
	if first := f.seen[0]; now.Sub(first.at) >= fillingFrom {
		d.Pace = int64(float64(first.free-int64(free)) / now.Sub(first.at).Seconds())
	}
	return d
}

// DiskReaction is how long a recording goes on after it was found that it must end.
const DiskReaction = time.Second

// DiskLow is why a recording is ended before a disk is full. Whose is "the master's
// disk", or "its disk" of a node; owed are bytes that are still to be written there.
func DiskLow(whose, path string, d fact.Disk, below, owed int64) *sdk.Failure {
	message := fmt.Sprintf("%s (%s) has %s left, and faults.disk_below is %s", whose, path, mebibytes(d.Free), mebibytes(below))
	if owed > 0 {
		message += fmt.Sprintf(", with %s of files still to come", mebibytes(owed))
	}
	return &sdk.Failure{Code: "disk-below", Message: message + ": the recording was ended while its files are whole", Field: "faults.disk_below",
		Hint: "free some space, choose another place with --runs (a slave: --data), or measure for a shorter time"}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
