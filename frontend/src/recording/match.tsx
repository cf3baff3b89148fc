// Audio–text matching: how well each text fits, as a cosine.
import { clean } from "../list/names";
import { put, UnderstoodTexts, UnknownWords } from "../parts/unknown";
import { t } from "../words";
import { Answer, asks, Bar, Go, State } from "./asking";
import { askMatch, match, matchText } from "./questions";
import { Lines } from "./written";

export function MatchTool() {
  const found = match.result.value;
  return (
    <>
      <form class="ask" onSubmit={asks(askMatch)}>
        <Lines label="match.texts" text={matchText} />
        <Go label="match.go" />
      </form>
      <State of={match} tool="match" />
      {found && (
        <Answer of={found}>
          {found.silent && <p class="first">{t("ask.silent")}</p>}
          <UnderstoodTexts texts={found.understood} />
          <UnknownWords words={found.unknown} take={(word, other) => {
            matchText.value = put(matchText.value, word, other);
            askMatch();
          }} />
          <ol class="bars" aria-label={t("match.results")}>
            {found.matches.map(({ text, score }) => <li key={text}><bdi>{clean(text)}</bdi><Bar value={score} text={score.toFixed(3)} low={score <= 0} /></li>)}
          </ol>
          <p class="soft">{t("match.hint")}</p>
        </Answer>
      )}
    </>
  );
}
