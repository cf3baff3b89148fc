// How good the detector is so far, in plain words: what examples left out say, and how little a few of them can say.
import { Bar } from "../recording/asking";
import { Notice } from "../parts/notice";
import { share, t } from "../words";
import { doing, lesson, shown } from "./lesson";
import type { Report } from "./types";

const ROWS = ["precision", "recall", "average_precision"] as const;
const ROUGH = 10; // examples of each kind, below which the range is said to be wide

export function Quality() {
  const found = lesson.value;
  return (
    <section class="quality" aria-labelledby="quality" aria-busy={doing.value}>
      <h3 id="quality">{t("good.title")}{doing.value && <small class="soft"> {t("good.doing")}</small>}</h3>
      <Notice of="lesson" />
      {!found ? <p class="soft">{t("good.none")}</p> : (
        <>
          <p>{t("good.counts", { yes: found.detector.examples.yes ?? 0, no: found.detector.examples.no ?? 0 })}
            {Boolean(found.detector.examples.drawn) && <span class="soft"> {t("good.drawn", { count: found.detector.examples.drawn! })}</span>}</p>
          <Judged report={found.detector.report} examples={found.detector.examples} />
        </>
      )}
    </section>
  );
}

function Judged({ report, examples }: { report: Report; examples: { yes?: number; no?: number } }) {
  if (!report.judged) {
    const [yes, no] = [Math.max(0, 2 - (examples.yes ?? 0)), Math.max(0, 2 - (examples.no ?? 0))];
    return <p class="first">{t("good.few", { yes, no })}</p>;
  }
  const few = (report.yes ?? 0) < ROUGH || (report.no ?? 0) < ROUGH;
  return (
    <>
      {few && <p class="first">{t("good.rough")}</p>}
      {report.unmarked && <p class="first">{t("good.unmarked")}</p>}
      <table>
        <caption class="soft">{t("good.measured")}</caption>
        <thead><tr><td /><th scope="col">{t("good.value")}</th><th scope="col">{t("good.range")}</th>{report.text && <th scope="col">{t("good.alone")}</th>}</tr></thead>
        <tbody>
          {ROWS.map((name) => (
            <tr key={name}>
              <th scope="row">{t(`good.${name}`)}</th>
              <td><Bar value={report[name]?.value ?? 0} text={shown(report[name])} /></td>
              <td class="soft">{report[name] && `${share(report[name].low)} – ${share(report[name].high)}`}</td>
              {report.text && <td class="soft">{report.text[name] == null ? "–" : share(report.text[name])}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {report.verdict && <p>{t(`good.${report.verdict}`)}</p>}
    </>
  );
}
