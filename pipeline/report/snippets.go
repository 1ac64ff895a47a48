package report

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"tsrun/pipeline/run"
)

// Snippet is a program that loads something of a run, in its directory.
type Snippet struct {
	Language string // numpy, pandas, MATLAB
	Code     string
}

// Snippets load a channel's tags and the first table of results.
func Snippets(m *run.Manifest) (all []Snippet) {
	if s, ok := firstFile(m); ok {
		all = append(all, Snippet{"tsrun.py", "import tsrun  # python/tsrun.py of tsrun: every file is proven before its tags are believed\n\nrun = tsrun.open(\".\")\n" +
			fmt.Sprintf("tags = run.tags(%s)  # ps as they were recorded\nprint(run.condition, run.simulated, len(tags), \"tags by tsrun.py\")\n", quoted(s.Node+"."+s.Channel))})
		pattern := quoted(path.Dir(s.File) + "/" + s.Channel + "-*" + path.Ext(s.File))
		if path.Ext(s.File) == ".bin" {
			all = append(all, Snippet{"numpy", "import glob\nimport numpy as np\n\n" +
				fmt.Sprintf("tags = np.concatenate([np.fromfile(f, dtype=\"<u8\") for f in sorted(glob.glob(%s))])  # ps\nprint(len(tags), \"tags\")\n", pattern)})
			all = append(all, Snippet{"MATLAB", fmt.Sprintf("files = dir(%s);\ntags = zeros(0, 1, 'uint64'); %% ps\nfor k = 1:numel(files)\n    f = fopen(fullfile(files(k).folder, files(k).name), 'r', 'ieee-le');\n    tags = [tags; fread(f, Inf, 'uint64=>uint64')];\n    fclose(f);\nend\n", matlab(path.Dir(s.File)+"/"+s.Channel+"-*.bin"))})
		} else {
			all = append(all, Snippet{"numpy", fmt.Sprintf("import subprocess\nimport numpy as np\n\nsubprocess.run([\"tsrun\", \"convert\", %s, \"tags.npy\"], check=True)\ntags = np.load(\"tags.npy\")  # ps, of the first file\nprint(len(tags), \"tags\")\n", quoted(s.File))})
		}
	}
	for _, r := range m.Results {
		if i := slices.IndexFunc(r.Files, func(f string) bool { return path.Ext(f) == ".csv" }); i >= 0 {
			all = append(all,
				Snippet{"pandas", fmt.Sprintf("import pandas as pd\n\ntable = pd.read_csv(%s, comment=\"#\")\nprint(table.describe())\n", quoted(r.Files[i]))},
				Snippet{"numpy", fmt.Sprintf("import numpy as np\n\ntable = np.genfromtxt(%s, delimiter=\",\", names=True, skip_header=1)\nprint(table.dtype.names, table.size)\n", quoted(r.Files[i]))},
				Snippet{"MATLAB", fmt.Sprintf("table = readtable(%s, 'NumHeaderLines', 1);\n", matlab(r.Files[i]))})
			break
		}
	}
	return all
}

// firstFile is the first file of tags that is here.
func firstFile(m *run.Manifest) (run.Segment, bool) {
	i := slices.IndexFunc(m.Segments, func(s run.Segment) bool { return s.Verified && s.HoldsTags() && s.Tags > 0 })
	if i < 0 {
		return run.Segment{}, false
	}
	return m.Segments[i], true
}

// quoted is a text as Python writes it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(s) + `"`
}

// matlab is a text as MATLAB writes it.
func matlab(s string) string {
	return "'" + strings.NewReplacer("'", "''", "\n", " ", "\r", " ").Replace(s) + "'"
}

// snippets shows how to load the run.
func (p *page) snippets() {
	all := Snippets(p.m)
	if len(all) == 0 {
		p.para("", "There is nothing to load.")
	}
	for _, s := range all {
		p.heading(s.Language)
		p.code(s.Code)
	}
}
