// Package tagfile reads and writes files of time tags, those of tsrun and those
// of other instruments.
//
//	[Table], [Formats]              what there is: names, suffixes, abilities
//	[Open], [OpenSegments]          one channel, piece by piece, in bounded memory
//	[ReadAll], [ReadRecording]      a whole file, sorted, in memory
//	[Scan]                          what a file holds: [Info] with its facts
//	[WriteFile], [NewEncoder]       one channel; the encoder for who owns the file
//	[Convert]                       any format to any that can be written
//
// A format is one line of a table (format.go) and one file of code: a source
// that yields tags in file order and an encoder that makes bytes of them. What
// is common lies between: order.go sorts what is slightly out of order, info.go
// counts, writer.go makes a file appear only when it is whole.
//
// docs/files.md describes every format, docs/why/formats.md byte by byte.
package tagfile

import (
	"math"
	"slices"
	"strings"
)

// The file formats.
const (
	Bin    = "bin"    // little-endian u64 ps, nothing else; one channel
	Txt    = "txt"    // a line "channel;ps" per tag
	Csv    = "csv"    // a line "channel,ps", then one like it per tag
	Tags   = "tags"   // tsrun's compact blocks with checksums and an index
	QuTAG  = "qutag"  // qutools quTAG binary, ten bytes a tag
	QuTAG5 = "qutag5" // qutools quTAG compressed, five bytes a tag
	PTU    = "ptu"    // PicoQuant unified file, T2 or T3
	// The files of PicoQuant's devices and Becker & Hickl's modules before PTU; read only.
	PicoHarp  = "picoharp"  // .pt2, .pt3
	HydraHarp = "hydraharp" // .ht2, .ht3
	SPC       = "spc"       // .spc of SPC-130 to SPC-180 and SPC-830, FIFO mode
	A0        = "a0"        // S-Fifteen, two lines of eight hexadecimal digits, low half first
	A1        = "a1"        // S-Fifteen, 64-bit words
	A2        = "a2"        // S-Fifteen, lines of sixteen hexadecimal digits
	A1X       = "a1x"       // a1 with its halves swapped
	Swabian   = "swabian"   // Swabian Instruments dump, sixteen bytes a tag
	NPY       = "npy"       // an array of numpy
	IDQ       = "idq"       // ID Quantique, binary with an index: sixteen bytes a tag
	IDQText   = "idqtxt"    // ID Quantique, lines "ps" or "ps;index"
)

// OnlyChannel asks for the tags of a file that holds one channel; with it, a
// file of several channels is an error that says so.
const OnlyChannel = math.MinInt32

// binChannel is the channel number of files that carry none.
const binChannel = 1

// Format is what is known of one file format.
type Format struct {
	Name     string
	Suffixes []string // of file names, with the dot; a suffix may belong to several formats
	About    string   // one line
	// OneChannel says that a file holds no channel numbers.
	OneChannel bool
	// Resolution is the finest step of time in ps; 0 when each file says its own.
	Resolution float64

	reorder uint64                            // ps: how far back tags are sorted; 0: as usual
	signed  bool                              // times can be below 0
	magic   string                            // how every file begins; "" when they begin anyhow
	open    func(f *file) (source, error)     // tags in file order; nil for tags, which holds each channel by itself
	encoder func(o encoding) (encoder, error) // nil for formats that are only read
}

// registry is the one table of formats: help, errors and documentation come
// from it.
func registry() []Format {
	return []Format{
		{Name: Bin, Suffixes: []string{".bin"}, About: "64-bit little-endian ps, one channel",
			OneChannel: true, Resolution: 1, open: openBin, encoder: newBinEncoder},
		{Name: Txt, Suffixes: []string{".txt"}, About: "a line CHANNEL;PS per tag",
			Resolution: 1, open: openTxt, encoder: newTxtEncoder},
		{Name: Csv, Suffixes: []string{".csv"}, About: "a line CHANNEL,PS per tag, with a heading",
			Resolution: 1, magic: csvHeader, open: openCsv, encoder: newCsvEncoder},
		{Name: Tags, Suffixes: []string{".tags"}, About: "tsrun's compact blocks, with checksums and an index",
			Resolution: 1, magic: tagsMagic, encoder: newTagsEncoder},
		{Name: QuTAG, Suffixes: []string{".qutag"}, About: "qutools quTAG binary, 10 bytes a tag",
			Resolution: 1, magic: quTAGMagic, open: openQuTAG, encoder: newQuTAGEncoder},
		{Name: QuTAG5, Suffixes: []string{".qutag5"}, About: "qutools quTAG compressed, 5 bytes a tag",
			Resolution: 1, open: openQuTAG5, encoder: newQuTAG5Encoder},
		{Name: PTU, Suffixes: []string{".ptu", ".timeres"}, About: "PicoQuant T2 and T3; written as generic T2",
			magic: ptuMagic, open: openPTU, encoder: newPTUEncoder},
		{Name: PicoHarp, Suffixes: []string{".pt2", ".pt3"}, About: "PicoHarp 300 before PTU, T2 and T3; read only",
			magic: picoHarpMagic, open: openPicoHarp},
		{Name: HydraHarp, Suffixes: []string{".ht2", ".ht3"}, About: "HydraHarp 400 before PTU, T2 and T3; read only",
			magic: hydraHarpMagic, open: openHydraHarp},
		{Name: SPC, Suffixes: []string{".spc"}, About: "Becker & Hickl SPC-130 to SPC-180 and SPC-830, FIFO; read only",
			open: openSPC},
		fifteenFormat(A0, "lines of 8 hexadecimal digits"),
		fifteenFormat(A1, "64-bit words"),
		fifteenFormat(A2, "lines of 16 hexadecimal digits"),
		fifteenFormat(A1X, "a1 with halves swapped"),
		{Name: Swabian, Suffixes: []string{".swabian", ".dump"}, About: "Swabian Instruments dump, 16 bytes a tag",
			Resolution: 1, signed: true, open: openSwabian, encoder: newSwabianEncoder},
		{Name: NPY, Suffixes: []string{".npy"}, About: "numpy array of times, or of channels and times",
			Resolution: 1, signed: true, magic: npyMagic, open: openNPY, encoder: newNPYEncoder},
		{Name: IDQ, Suffixes: []string{".idq"}, About: "ID Quantique binary with index, 16 bytes a tag, one channel",
			OneChannel: true, Resolution: 1, open: openIDQ, encoder: newIDQEncoder},
		{Name: IDQText, Suffixes: []string{".idqtxt"}, About: "ID Quantique ascii, a line PS or PS;INDEX per tag, one channel",
			OneChannel: true, Resolution: 1, open: openIDQText, encoder: newIDQTextEncoder},
	}
}

// Table returns every format there is. All can be read.
func Table() []Format { return registry() }

// Writable says whether files of the format can be written.
func (f Format) Writable() bool { return f.encoder != nil }

// written returns the names of the formats that can be written.
func written() (names []string) {
	for _, f := range registry() {
		if f.Writable() {
			names = append(names, f.Name)
		}
	}
	return names
}

// Formats returns the names of all formats.
func Formats() []string {
	var names []string
	for _, f := range registry() {
		names = append(names, f.Name)
	}
	return names
}

// find returns the format of a name.
func find(name string) (Format, bool) {
	all := registry()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return all[i], true
}

func list(names []string) string { return strings.Join(names, ", ") }
