# SPDX-License-Identifier: GPL-2.0-only
# make bench runs this: data and output name files. The data has two sets, by bytes; the
# first columns are the mailbox's.
set terminal svg size 1000,720 font "sans-serif,13" background "white"
set output output
set logscale x 2
set logscale y
set xtics ("8" 8, "64" 64, "512" 512, "4 Ki" 4096, "32 Ki" 32768, "256 Ki" 262144)
set xrange [8:1048576]
set xlabel "bytes of the message"
set grid
set multiplot layout 1,2
set key below noenhanced
set title "A send and a receive by one process"
set ylabel "nanoseconds, or instructions"
stats data index 0 using 1 skip 1 nooutput
plot for [i=2:STATS_columns] data index 0 using 1:i with linespoints pt i lc i ps 0.6 \
	lw (i <= 5 ? 2.5 : 1) title columnheader(i)
set title "From one process to another, on one CPU"
unset ylabel
stats data index 1 using 1 skip 1 nooutput
plot for [i=2:STATS_columns] data index 1 using 1:i with linespoints pt i lc i ps 0.6 \
	lw (i <= 5 ? 2.5 : 1) title columnheader(i)
unset multiplot
