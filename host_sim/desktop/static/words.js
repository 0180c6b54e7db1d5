// The page's own words, in English and Chinese. What a terminal says on its display and paper comes from the terminal.

import { SENTENCES } from "./sentences.js";

export const LANGUAGES = [
  ["en", "English"],
  ["zh-CN", "中文"],
];

/**
 * t(key, values): the text; t.or(key, other): the text, or the terminal's own of that key, or the other where there is none;
 * t.said(sentence): what a part of the simulation says in English; t.meaning(text): several of those, with semicolons between;
 * t.masked(text): of who applies, as far as it is shown; t.detail(text): of an event, as the terminal words it.
 * texts: the terminal's own, key -> text.
 */
export function words(language, texts = {}) {
  const column = language === "zh-CN" ? 1 : 0;
  const known = new Map(); // a log is drawn again and again
  const t = (key, values = {}) => {
    const row = WORDS[key];
    if (!row) throw new Error(`words.js has no text ${key}`);
    return row[column].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  };
  t.or = (key, other) => (Object.hasOwn(WORDS, key) ? t(key) : (texts[key] ?? String(other)));
  t.said = (sentence) => {
    if (!known.has(sentence)) {
      if (known.size > MOST_KNOWN) known.clear();
      known.set(sentence, said(t, column, sentence));
    }
    return known.get(sentence);
  };
  t.meaning = (text) => {
    const pieces = text.split("; ");
    const told = [];
    while (pieces.length) {
      // The longest beginning that is one sentence: some have a semicolon within.
      let count = pieces.length;
      while (count > 1 && !EXACT.has(plain(pieces.slice(0, count).join("; ")))) count -= 1;
      told.push(t.said(pieces.splice(0, count).join("; ")));
    }
    return told.join(t("semicolon"));
  };
  t.masked = (text) => each(text, ", ", t.said).join(t("comma"));
  t.detail = (text) => each(text.replaceAll("; ", ", ").replaceAll(": ", ", "), ", ", (piece) => detail(t, piece)).join(t("comma"));
  return t;
}

const MOST_KNOWN = 4000;

/** Without the marks of a document. */
function plain(sentence) {
  return sentence.replaceAll("`", "");
}

function each(text, between, word) {
  return text.split(between).filter(Boolean).map(word);
}

const EXACT = new Map(SENTENCES);
const PATTERNS = SENTENCES.filter(([english]) => english.includes("{")).map(([english, chinese]) => [
  new RegExp(`^${english.replace(/[[\]().*+?^$|\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>.+?)")}$`, "s"),
  chinese,
]);

function said(t, column, sentence) {
  const text = plain(sentence);
  if (column === 0) return text;
  if (EXACT.has(text)) return EXACT.get(text);
  for (const [pattern, chinese] of PATTERNS) {
    const found = pattern.exec(text);
    if (found) return chinese.replace(/\{(\w+)\}/g, (_, name) => (PLACES[name] ? PLACES[name](t, found.groups[name]) : found.groups[name]));
  }
  return text;
}

/** As the terminal itself puts it: a piece is a phrase, whose number is a value; else word by word. */
function detail(t, piece) {
  const all = piece.split(" ").filter((word) => word !== "%");
  const isValue = (word) => /\d/.test(word);
  const phrase = t.or(`op.detail.${all.filter((word) => !isValue(word)).join("_")}`, "");
  if (phrase) return phrase.replace("%(number)s", all.filter(isValue).join(" ")).replaceAll("%%", "%").trim();
  const kinds = ["op.detail.", "cause.", "device.", "reminder.name.", "shop."];
  const word = (one) => kinds.map((kind) => t.or(kind + one.replace(/^due_/, ""), "")).find(Boolean) ?? one;
  return all.map((one) => (isValue(one) ? one : word(one).replace("%(number)s", "").trim())).join(" ");
}

const of = (kind) => (t, word) => t.or(`${kind}.${word}`, word);
const list = (kind, between = ", ") => (t, text) => each(text, between, (word) => t.or(`${kind}.${word}`, word)).join(t("comma"));
const two = (first, second) => (t, text) =>
  each(text, ", ", (pair) => {
    const [one, ...rest] = pair.split(" ");
    return [t.or(`${first}.${one}`, one), ...rest.map((word) => t.or(`${second}.${word}`, word))].join(" ");
  }).join(t("comma"));

// What stands in a sentence's place, in words.
const PLACES = {
  mode: of("mode"),
  link: of("link"),
  purpose: of("value"),
  status: of("value"),
  about: of("value"),
  outcome: of("outcome"),
  test: of("value"),
  event: of("op.event"),
  refusal: (t, word) => t.or(`verdict.${word}`, t.or(`op.detail.${word}`, t.or(`activation.${word}`, word))),
  hostile: of("hostile"),
  card: of("card"),
  key: of("key"),
  device: of("device"),
  switch: of("switch"),
  which: of("which"),
  level: of("level_of"),
  events: list("op.event"),
  reasons: list("reason"),
  moments: list("moment"),
  materials: (t, text) => each(text, " ", (number) => t.or(`material.${number.slice(1)}`, number)).join(t("comma")),
  results: two("phase", "outcome"),
  tests: two("outcome", "value"),
  people: two("value", "value"),
  order: two("value", "reason"),
  pieces: (t, text) => each(text, "; ", t.said).join(t("semicolon")),
  masked: (t, text) => t.masked(text),
  detail: (t, text) => t.detail(text),
  said: (t, text) => t.said(text),
};

const WORDS = {
  "title": ["Reinstate simulator", "Reinstate 终端模拟器"],
  "title.what": ["desktop simulator", "桌面模拟器"],
  "comma": [", ", "、"],
  "semicolon": ["; ", "；"],
  "optional": ["optional", "选填"],
  "cancel": ["Cancel", "取消"],
  "copy": ["Copy", "复制"],
  "copied": ["Copied", "已复制"],
  "set": ["Set", "设置"],
  "connected": ["Connected", "已连接"],
  "not_connected": ["Not connected", "未连接"],
  "language": ["Language of this page", "页面语言"],
  "theme": ["Light or dark", "明暗"],
  "theme.auto": ["System", "跟随系统"],
  "theme.light": ["Light", "浅色"],
  "theme.dark": ["Dark", "深色"],
  "sound": ["Sound of the terminals", "终端声音"],
  "waiting": ["Connecting to the simulator …", "正在连接模拟器……"],
  "gone": ["The simulator does not answer. This page goes on by itself as soon as it is back.", "模拟器没有应答。恢复后，本页会自动继续。"],
  "gone.step": ["The simulator did not answer, so this was not done. Please try again.", "模拟器没有应答，操作未执行，请重试。"],

  "add.title": ["Add a terminal", "添加终端"],
  "add": ["Add terminal", "添加终端"],
  "add.board": ["Board", "机型"],
  "add.runtime": ["Runtime", "运行环境"],
  "add.language": ["Language of the terminal", "终端语言"],
  "shelf.title": ["Choose a terminal", "选择一台终端"],
  "shelf.what": [
    "It comes from the installer: provisioned, and switched off. Several can stand side by side.",
    "终端已由安装人员预置，处于关机状态。可以同时摆放多台。",
  ],

  "terminal.body": ["Terminal {id}", "终端 {id}"],
  "terminal.display": ["Display of terminal {id}", "终端 {id} 的显示屏"],
  "terminal.keys": [
    "While the focus is here the keyboard's digits and arrows are the terminal's keys; Enter confirms, Escape cancels, Backspace clears, F1 is help. A key that is kept down is held.",
    "焦点在此时，键盘的数字键和方向键即为终端按键；Enter 为确认，Esc 为取消，退格为清除，F1 为帮助。按住不放即为长按。",
  ],
  "terminal.keys.short": [
    "Click the terminal, and its keys are on your keyboard: digits, arrows, Enter, Esc (cancel), Backspace (clear), F1 (help).",
    "点击终端后即可用键盘操作：数字、方向键、Enter（确认）、Esc（取消）、退格（清除）、F1（帮助）。",
  ],
  "terminal.second": ["second device", "第二台设备"],
  "terminal.enlarge": ["Enlarge the display", "放大显示屏"],
  "terminal.close": ["Take terminal {id} away", "移走终端 {id}"],

  "desk.power": ["Power", "电源"],
  "desk.display": ["Display, enlarged", "显示屏（放大）"],
  "desk.paper": ["Printer", "打印机"],
  "desk.card": ["Card", "卡片"],
  "desk.scanner": ["Scanner", "扫码"],
  "power.on": ["On", "开"],
  "power.off": ["Off", "关"],
  "power.cut_after_write": ["Cut after next write", "下次写入后断电"],
  "power.factory_new": ["Factory new …", "恢复出厂……"],
  "power.really": ["The power goes off, and everything on its flash is wiped.", "终端将断电，存储内容全部清除。"],
  "power.wipe": ["Wipe it", "确认清除"],
  "paper.none": ["No slip yet.", "尚无票据。"],
  "paper.slip": ["Slip {number}", "第 {number} 张票据"],
  "paper.shown": ["Slip {number} of {of}", "第 {number} 张票据，共 {of} 张"],
  "paper.earlier": ["The slip before", "上一张"],
  "paper.later": ["The next slip", "下一张"],
  "paper.tear_off": ["Tear off", "撕下"],
  "paper.save": ["Save as PNG", "存为 PNG"],
  "paper.codes": ["Codes on this slip", "票据上的二维码"],
  "scanner.code": ["Code", "条码或二维码"],
  "scanner.scan": ["Scan", "扫描"],
  "scanner.before": ["Before the scanner: {code}", "扫码口前：{code}"],

  "card.kind": ["Card", "卡片种类"],
  "card.insert": ["Insert", "放入"],
  "card.tap": ["Tap", "轻触"],
  "card.remove": ["Remove", "取走"],
  "card.tear": ["Tear out", "中途抽走"],
  "card.tear.what": ["The next card is torn out while it is read", "下一张卡在读取途中被抽走"],
  "card.there": ["in the reader", "卡在读卡区"],
  "card.away": ["no card", "无卡"],
  "card.payment": ["Payment card", "支付卡"],
  "card.no_ppse": ["Card that does not pay", "非支付卡"],
  "card.strict_le": ["Payment card, strict (Le)", "支付卡（须带 Le）"],
  "card.mute": ["Card that never answers", "无应答的卡"],
  "card.badge": ["Technician's badge", "维修人员工作证"],
  "card.badge_expired": ["Badge, expired", "工作证（已过期）"],
  "card.badge_of_other": ["Badge of somebody else", "工作证（其他机构）"],
  "card.badge_altered": ["Badge, altered", "工作证（被改动）"],
  "card.badge_copied": ["Badge, copied", "工作证（复制件）"],

  "stage": ["Terminals", "终端"],
  "panel.which": ["Which terminal", "选择终端"],
  "panel.tabs": ["Around terminal {id}", "终端 {id} 的周边"],
  "tab.acquirer": ["Acquirer", "支付机构"],
  "tab.messages": ["Messages", "消息"],
  "tab.faults": ["Faults", "故障"],
  "tab.network": ["Network", "网络"],
  "tab.record": ["Log", "日志"],

  "console.state": ["As the acquirer verified it", "支付机构核验的状态"],
  "console.online": ["online", "在线"],
  "console.offline": ["offline", "离线"],
  "console.nothing_yet": ["Nothing has been heard of it yet. Switch it on.", "尚未收到任何消息，请先开机。"],
  "console.tests_due": ["Still to be passed: {list}", "尚须通过的检测：{list}"],
  "console.orders": ["Orders", "指令"],
  "console.send_order": ["Sign and send: {action}", "签发指令：{action}"],
  "console.applications": ["Applications", "申请"],
  "application.decided": ["answered: {status}", "已答复：{status}"],
  "console.no_applications": ["The terminal has not applied for anything.", "终端尚未提交申请。"],
  "console.notices": ["Notices for the merchant", "商户通知"],
  "console.send_notice": ["Sign and send the notice", "签发通知"],
  "console.activation": ["Activation code", "激活码"],
  "console.activation.what": [
    "For a terminal that is to get new keys. Its holder types it in.",
    "终端换发新密钥时使用，由持有人在终端上输入。",
  ],
  "console.issue_code": ["Issue a code", "生成激活码"],
  "console.type_code": ["Type into the terminal:", "在终端上输入："],
  "console.reports": ["Self-test reports", "自检报告"],
  "console.tests": ["Function tests", "功能检测"],
  "console.timeline": ["Timeline", "时间线"],
  "console.summary": ["Summary of the last suspension", "最近一次停用的总结"],
  "console.events": ["Events", "事件"],
  "console.receipts": ["Receipts", "回执"],
  "console.none": ["Nothing yet.", "暂无。"],
  "report.passed": ["all {all} passed", "{all} 项全部通过"],
  "report.failed": ["{count} of {all} did not pass", "{all} 项中 {count} 项未通过"],
  "report.all": ["Every result", "全部结果"],
  "application.number": ["No. {number}", "第 {number} 号"],
  "application.superior": ["to the superior", "提交上级"],
  "application.materials": ["At hand: {list}", "已备材料：{list}"],

  "mode.in_service": ["In service", "正常服务"],
  "mode.suspended": ["Suspended", "已停用"],
  "mode.recovering": ["Recovering", "恢复中"],
  "mode.commissioning": ["Commissioning", "投用检测"],
  "mode.probation": ["Probation", "观察期"],
  "mode.out_of_order": ["Out of order", "停止工作"],

  "field.action": ["Order", "指令"],
  "field.reason": ["Reason", "原因"],
  "field.reasons": ["Reasons", "原因"],
  "field.case": ["Case number", "案件号"],
  "field.note": ["Note", "备注"],
  "field.until_s": ["Ends in (seconds from now)", "结束于（多少秒后）"],
  "field.since_s": ["Begins in (seconds from now)", "开始于（多少秒后）"],
  "field.probation_s": ["Probation (seconds)", "观察期（秒）"],
  "field.plan": ["Test plan", "检测方案"],
  "field.badge": ["Badge number", "工作证号"],
  "field.text": ["Text", "内容"],
  "field.settings": ["Settings (name=value, …)", "设置（名称=值，……）"],
  "field.about": ["About", "类别"],
  "field.status": ["Answer", "答复"],
  "field.remark": ["Remark to the merchant", "给商户的说明"],
  "field.name": ["Name", "名称"],
  "field.password": ["Password", "密码"],
  "field.device": ["Device", "设备"],
  "field.on": ["On", "开启"],
  "field.version": ["Version", "版本"],
  "field.fault": ["Defect", "缺陷"],
  "field.argument": ["Argument", "参数"],
  "field.key": ["Key", "按键"],
  "field.ms": ["Milliseconds", "毫秒"],
  "field.jump_s": ["Seconds", "秒"],
  "field.actor": ["by", "来源"],
  "field.since": ["since", "起"],
  "field.until": ["until", "止"],
  "field.component": ["component", "部件"],

  "value.suspend": ["Suspend", "停用"],
  "value.lift": ["Lift", "解除停用"],
  "value.self_test": ["Self-test", "自检"],
  "value.revoke_badge": ["Revoke a badge", "吊销工作证"],
  "value.maintenance": ["Maintenance", "维护"],
  "value.message": ["Message", "消息"],
  "value.configure": ["Configure", "参数设置"],
  "value.unlock": ["Unlock", "解锁"],
  "value.policy": ["Policy", "政策"],
  "value.update": ["Update", "更新"],
  "value.fee": ["Fees", "费用"],
  "value.document": ["Documents", "资料"],
  "value.received": ["Received", "已收到"],
  "value.under_review": ["Under review", "审核中"],
  "value.more_needed": ["Ask for more", "要求补充"],
  "value.approved": ["Approve", "批准"],
  "value.rejected": ["Refuse", "驳回"],
  "value.issued": ["this code", "此激活码"],
  "value.wrong": ["another code", "另一激活码"],
  "value.mistyped": ["with a slip", "输错一位"],
  "value.power_on": ["After power on", "开机自检"],
  "value.daily": ["Daily", "每日自检"],
  "value.full": ["Full", "完整自检"],
  "value.reactivation": ["Reactivation", "恢复服务"],
  "value.appeal": ["Appeal", "申诉"],
  "value.registration": ["Registration", "登记"],
  "value.renewal": ["Renewal", "换发"],
  "value.superior": ["Appeal to the superior", "向上级申诉"],
  "value.device.card_reader": ["Card reader only", "仅读卡器"],
  "value.device.certificate": ["Certificates only", "仅证书"],
  "value.device.clock": ["Clock only", "仅时钟"],
  "value.device.display": ["Display only", "仅显示屏"],
  "value.device.firmware": ["Program files only", "仅程序文件"],
  "value.device.keypad": ["Keypad only", "仅键盘"],
  "value.device.network": ["Network only", "仅网络"],
  "value.device.payment": ["Payment application only", "仅支付应用"],
  "value.device.power": ["Power only", "仅电源"],
  "value.device.printer": ["Printer only", "仅打印机"],
  "value.device.scanner": ["Scanner only", "仅扫码"],
  "value.device.secure_element": ["Security chip only", "仅安全芯片"],
  "value.device.sounder": ["Sounder only", "仅蜂鸣器"],
  "value.device.storage": ["Storage only", "仅存储"],
  "value.print": ["Print", "打印"],
  "value.scan": ["Scan", "扫码"],
  "value.pay": ["Pay", "支付"],
  "value.keys": ["Keys", "按键"],
  "value.screen": ["Screen", "屏幕"],
  "value.yes": ["yes", "是"],
  "value.no": ["no", "否"],
  "value.HOST": ["the acquirer", "支付机构"],
  "value.POI": ["the terminal", "终端"],
  "value.acquirer": ["acquirer", "支付机构"],
  "value.terminal": ["terminal", "终端"],
  "value.technician": ["technician", "维修人员"],
  "value.staff": ["staff", "员工"],
  "value.merchant": ["merchant", "商户"],

  "device.names": ["Names (DNS)", "域名解析"],
  "device.payment": ["Payment host", "支付主机"],
  "device.program": ["Program", "程序"],
  "device.uplink": ["Way to the acquirer", "通往支付机构的线路"],
  "device.display_bus": ["Wire of the display", "显示屏总线"],
  "device.reader_bus": ["Wire of the card reader", "读卡器总线"],
  "device.reader_line": ["Wire of the card reader", "读卡器串口线"],
  "device.security_bus": ["Wire of security chip and clock", "安全芯片与时钟总线"],
  "device.printer_line": ["Wire of the printer", "打印机串口线"],
  "device.scanner_line": ["Wire of the scanner", "扫码器串口线"],

  "faults.search": ["Search: device, word, cause", "搜索：设备、关键词、原因"],
  "faults.on_only": ["Switched on ({count})", "已开启（{count}）"],
  "faults.mend_all": ["Mend all", "全部修复"],
  "faults.count": ["{shown} of {all}", "{shown} / {all} 项"],
  "faults.fault": ["fault", "故障"],
  "faults.habit": ["habit", "习性"],
  "faults.cause": ["found as: {cause}", "诊断为：{cause}"],
  "faults.on": ["{count} broken", "{count} 处故障"],

  "network.link": ["Way to the acquirer", "通往支付机构的线路"],
  "network.uplink": ["Link", "链路"],
  "network.passes": ["passes", "畅通"],
  "network.is_cut": ["cut", "已切断"],
  "network.cut": ["Cut", "切断"],
  "network.restore": ["Restore", "恢复"],
  "network.broker": ["Broker", "消息代理"],
  "network.broker_stop": ["Stop", "停止"],
  "network.broker_start": ["Start", "启动"],
  "broker.running": ["running", "运行中"],
  "broker.stopped": ["stopped", "已停止"],
  "broker.died": ["died", "意外停止"],
  "network.latency": ["Extra delay, each direction (ms; now {ms})", "附加延迟，单向（毫秒；当前 {ms}）"],
  "network.clock": ["The terminal's clock jumps", "终端时钟跳变"],
  "jump.-86400": ["− 1 day", "− 1 天"],
  "jump.-3600": ["− 1 hour", "− 1 小时"],
  "jump.3600": ["+ 1 hour", "+ 1 小时"],
  "jump.86400": ["+ 1 day", "+ 1 天"],
  "jump.2592000": ["+ 30 days", "+ 30 天"],
  "network.access_point": ["Another router", "更换路由器"],
  "network.access_point.what": [
    "What was joined is gone, and this one is in range; without a password it is open.",
    "原有网络消失，换成此网络；不填密码即为开放网络。",
  ],
  "network.access_point.set": ["Set it up", "更换"],
  "network.faults": ["Faults on the way", "线路故障"],

  "hostile.title": ["Hostile orders", "恶意指令"],
  "hostile.what": ["Each must be refused, with a signed receipt that says why.", "每一条都必须被拒绝，并由签名回执说明原因。"],
  "hostile.unsigned": ["Not signed", "未签名"],
  "hostile.wrong_key": ["Wrong key", "错误密钥"],
  "hostile.altered": ["Altered", "被改动"],
  "hostile.other_terminal": ["For another terminal", "发给其他终端"],
  "hostile.moved": ["On another topic", "换了主题"],
  "hostile.expired": ["Expired", "已过期"],
  "hostile.repeated": ["Repeated", "重放"],

  "messages.title": ["Messages", "消息"],
  "messages.none": ["No message yet.", "暂无消息。"],
  "messages.number": ["No.", "序号"],
  "messages.at": ["s", "秒"],
  "messages.direction": ["Way", "方向"],
  "messages.kind": ["Kind", "类型"],
  "messages.bytes": ["Bytes", "字节"],
  "messages.verdict": ["Verdict", "核验"],
  "messages.up": ["to the acquirer", "上行"],
  "messages.down": ["to the terminal", "下行"],
  "messages.open": ["Message {number}, {kind}: take apart", "消息 {number}（{kind}）：逐字节查看"],
  "messages.one": ["Message {number}", "消息 {number}"],
  "messages.receipt": ["Receipt", "回执"],
  "messages.topic": ["Topic", "主题"],
  "messages.signed_by": ["Signed by", "签名密钥"],
  "messages.parts": ["Parts of the message", "消息各部分"],
  "messages.bytes_at": ["{at}–{to}", "{at}–{to}"],
  "alter.at": ["Byte", "字节"],
  "alter.bit": ["Bit", "位"],
  "alter.send": ["Turn this bit and send", "翻转此位并发送"],
  "alter.what": [
    "The copy goes out on the same topic. Choose a byte below, or leave the last one of the signature.",
    "副本将在同一主题上发出。可在下方选择字节，默认为签名的最后一个字节。",
  ],
  "alter.outcome": ["Byte {at} altered and sent. Verdict: {verdict}", "已改动第 {at} 字节并发送。核验结果：{verdict}"],
  "alter.receipt": ["signed receipt: {receipt}", "签名回执：{receipt}"],
  "verdict.sent": ["sent", "已发出"],
  "verdict.verified": ["verified", "已核验"],
  "verdict.accepted": ["accepted", "已接受"],
  "verdict.bad_signature": ["bad signature", "签名无效"],
  "verdict.not_signed": ["not signed", "未签名"],
  "verdict.unknown_key": ["unknown key", "未知密钥"],
  "verdict.wrong_terminal": ["wrong terminal", "终端不符"],
  "verdict.wrong_topic": ["wrong topic", "主题不符"],
  "verdict.wrong_direction": ["wrong direction", "方向不符"],
  "verdict.expired": ["expired", "已过期"],
  "verdict.replayed": ["replayed", "重放"],
  "verdict.malformed": ["malformed", "格式错误"],

  // what stands in the places of sentences
  "key.up": ["up", "上"],
  "key.down": ["down", "下"],
  "key.clear": ["clear", "清除"],
  "key.cancel": ["cancel", "取消"],
  "key.help": ["help", "帮助"],
  "key.enter": ["enter", "确认"],
  "which.first": ["first", "第一台"],
  "which.second": ["second", "第二台"],
  "switch.cut": ["cut", "切断"],
  "switch.restore": ["restore", "恢复"],
  "switch.stop": ["stop", "停止"],
  "switch.start": ["start", "启动"],
  "link.lost": ["lost", "连接中断"],
  "level_of.the reviewer": ["the reviewer", "审核部门"],
  "level_of.his superior": ["his superior", "上级管理部门"],
  "moment.suspended": ["suspended", "停用"],
  "moment.applied": ["applied", "已提交申请"],
  "moment.lifted": ["lifted", "解除停用"],
  "activation.wrong_code": ["wrong", "错误"],
  "activation.used": ["used", "已使用"],
  "activation.too_many_tries": ["burnt by too many tries", "尝试过多"],
  "activation.not_possible": ["not readable", "无法读取"],

  "record.title": ["Recording", "录制"],
  "record.what": [
    "All that is done at this terminal is written down as a scenario, which reinstate run replays. To begin anew, a new device takes its place.",
    "对本终端的所有操作都会录成脚本，可用 reinstate run 重放。重新录制时，将换上一台新设备。",
  ],
  "record.steps": ["Steps recorded: {count}", "已录制 {count} 步"],
  "record.save": ["Save scenario", "保存脚本"],
  "record.begin": ["Begin anew", "重新录制"],
  "step.title": ["Any step", "任意步骤"],
  "step.what": ["Every verb of a scenario that is no expectation.", "脚本中除预期以外的全部动作。"],
  "step.verb": ["Verb", "动作"],
  "step.do": ["Do it", "执行"],
  "log.title": ["What happens", "发生的事"],
  "log.who": ["Whose lines are shown", "显示谁的记录"],
  "log.none": ["Nothing has happened yet.", "暂无记录。"],
  "who.terminal": ["terminal", "终端"],
  "who.acquirer": ["acquirer", "支付机构"],
  "who.person": ["person", "操作人"],
  "who.network": ["network", "网络"],
  "who.hardware": ["hardware", "硬件"],
  "who.payment": ["payment", "支付"],
  "who.technician": ["technician", "维修人员"],
  "who.attacker": ["attacker", "攻击者"],

  "runtime.micropython": ["MicroPython", "MicroPython"],
  "runtime.cpython": ["CPython", "CPython"],
};
