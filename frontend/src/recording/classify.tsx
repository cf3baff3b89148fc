// Zero-shot classification: which of some labels fits best.
import { clean } from "../list/names";
import { Menu } from "../parts/menu";
import { put, UnderstoodTexts, UnknownWords } from "../parts/unknown";
import { share, t } from "../words";
import { TaughtHeard } from "../teach/choice";
import { Answer, asks, Bar, Go, State } from "./asking";
import { askClassify, classify, labelsText, TEMPLATE, templateText } from "./questions";

export function ClassifyTool() {
  const found = classify.result.value;
  return (
    <>
      <form class="ask" onSubmit={asks(askClassify)}>
        <label class="wide">{t("classify.labels")}
          <input type="text" value={labelsText.value} required maxLength={8000} autocomplete="off" onInput={(event) => (labelsText.value = event.currentTarget.value)} />
        </label>
        <Menu label={t("query.options")} icon="options" bare active={templateText.value !== ""}>
          {(close) => (
            <div class="form">
              <label>{t("classify.template")}
                <input
                  type="text" value={templateText.value} maxLength={500} placeholder={TEMPLATE} autocomplete="off" onInput={(event) => (templateText.value = event.currentTarget.value)}
                  onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), close())}
                />
              </label>
            </div>
          )}
        </Menu>
        <Go label="classify.go" />
      </form>
      <State of={classify} tool="classify" />
      {found && (
        <Answer of={found}>
          {found.silent && <p class="first">{t("ask.silent")}</p>}
          <UnderstoodTexts texts={found.understood} />
          <UnknownWords words={found.unknown} take={(word, other) => {
            labelsText.value = put(labelsText.value, word, other);
            askClassify();
          }} />
          <ol class="bars" aria-label={t("classify.results")}>
            {found.labels.map(({ label, score, similarity }) => (
              <li key={label}><bdi>{clean(label)}</bdi><Bar value={score} text={share(score)} low={Boolean(found.silent)} /><small class="soft">{t("ask.cosine", { value: similarity.toFixed(3) })}</small></li>
            ))}
          </ol>
        </Answer>
      )}
      <TaughtHeard />
    </>
  );
}
