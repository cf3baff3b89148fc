// In the head of every place: a microphone is listened to.
import { t } from "../words";
import { isOn } from "./seen";

export function LiveDot() {
  return isOn() ? <i class="dot live-dot"><span class="hidden">{t("live.is_on")}</span></i> : null;
}
